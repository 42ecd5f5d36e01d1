"""The table of commands: a name, where its function is, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, where its function is, what it does, and an example."""

    name: str
    target: str  # module below fourfold.application, and attribute
    group: str
    about: str
    example: str

    @property
    def help(self) -> str:
        """What `--help` says."""
        return f"{self.about}\n\nExample: {self.example}"


COMMANDS = (
    Command("tour", "cli_home:tour", "Begin",
            "From documents to a traced answer: the whole flow on this machine, stage by stage.",
            "fourfold tour --once"),
    Command("apply", "cli_home:apply", "Begin",
            "Make a project file true: sources, datasets, models, gates, deployments. Unchanged stages are not run again.",
            "fourfold apply fourfold.yaml --dry-run"),
    Command("up", "cli_serving:up", "Begin",
            "Serve a home until Ctrl-C; the first start prints an admin token.",
            "fourfold up --port 8044"),
    Command("collect", "cli_data:collect", "Data",
            "Collect documents into a new version of a dataset.",
            "fourfold collect tickets support/tickets --set 'include=[\"*.csv\"]'"),
    Command("clean", "cli_data:clean", "Data",
            "Pass a dataset through cleaning steps, in order, into a new version.",
            "fourfold clean tickets-clean tickets normalise drop_short:min_words=2 drop_duplicates"),
    Command("deidentify", "cli_data:deidentify", "Data",
            "Find personal data in a dataset and mask, replace, hash or drop it.",
            "fourfold deidentify support tickets-clean --action CREDIT_CARD=drop"),
    Command("describe", "cli_data:describe", "Data",
            "Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset.",
            "fourfold describe support@2"),
    Command("documents", "cli_data:documents", "Data",
            "Rows of a dataset, or one document of it.",
            "fourfold documents support --limit 5"),
    Command("train", "cli_models:train", "Models",
            "Train a model of a family on the train split of a dataset.",
            "fourfold train words tags crf --set tags=upos --set l2=0.1"),
    Command("evaluate", "cli_models:evaluate", "Models",
            "Judge a model on a split of a dataset: a report with figures, intervals and plots.",
            "fourfold evaluate words tags --split dev"),
    Command("promote", "cli_models:promote", "Models",
            "Point an alias at a version once its newest report passes every gate.",
            "fourfold promote words@3 production --gate 'accuracy >= 0.9'"),
    Command("deploy", "cli_serving:deploy", "Serving",
            "Serve a version under a name, or several by weight.",
            "fourfold deploy words words@production --limit record_content=true"),
    Command("retire", "cli_serving:retire", "Serving",
            "Take a deployment out of service for good; its history stays.",
            "fourfold retire words --reason 'replaced by entities'"),
    Command("rollback", "cli_serving:rollback", "Serving",
            "Give a deployment back the versions that it served before.",
            "fourfold rollback words"),
    Command("deployments", "cli_serving:deployments", "Serving",
            "List the deployments: what they serve, and whether it is being served.",
            "fourfold deployments"),
    Command("ask", "cli_answers:ask", "Answers",
            "Ask a deployment: words and labels, a ranking, a score, suggestions or a text.",
            "fourfold ask words 今天天气怎么样 --task rank"),
    Command("why", "cli_answers:why", "Answers",
            "Trace an answer: step, version, run, datasets, source documents.",
            "fourfold why req_01k…"),
    Command("versions", "cli_look:versions", "Look",
            "List versions, newest first.",
            "fourfold versions --kind model"),
    Command("runs", "cli_look:runs", "Look",
            "List runs: what was done, from what, and how it ended.",
            "fourfold runs --state failed"),
    Command("jobs", "cli_look:jobs", "Look",
            "List jobs: long acts that were asked for over HTTP.",
            "fourfold jobs --state running"),
    Command("cancel", "cli_look:cancel", "Look",
            "Stop a job; what it began leaves nothing.",
            "fourfold cancel job_01k…"),
    Command("retry", "cli_jobs:retry", "Look",
            "Queue a failed or cancelled job again; steps that are done stay done.",
            "fourfold retry job_01k…"),
    Command("queue", "cli_jobs:queue", "Home",
            "Limit how many jobs of a queue run at once.",
            "fourfold queue night --slots 1"),
    Command("schedules", "cli_jobs:schedules", "Home",
            "List schedules: what is done when.",
            "fourfold schedules"),
    Command("schedule", "cli_jobs:schedule", "Home",
            "Do a long act at the times of a cron line.",
            "fourfold schedule nightly '30 2 * * *' evaluate --arguments '{\"model\": \"words\", \"dataset\": \"tags\"}'"),
    Command("unschedule", "cli_jobs:unschedule", "Home",
            "Remove a schedule; the jobs that came of it stay.",
            "fourfold unschedule nightly"),
    Command("show", "cli_look:show", "Look",
            "Show whatever a version, alias, run, job, answer, deployment, document id or digest stands for.",
            "fourfold show words@3"),
    Command("keys", "cli_keys:keys", "Home",
            "List, create and revoke API keys.",
            "fourfold keys create shop-backend --role reader"),
    Command("doctor", "cli_home:doctor", "Home",
            "Examine a home: database, disk, audit chain, serving processes, extras.",
            "fourfold doctor"),
)  # fmt: skip
