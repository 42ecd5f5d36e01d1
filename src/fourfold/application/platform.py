"""One method per thing a person can do, each permitted once: the only door downwards for routes, pages and commands."""

from __future__ import annotations

from fourfold.application.topics.annotations import Annotations
from fourfold.application.topics.answers import Answers
from fourfold.application.topics.backups import Backups
from fourfold.application.topics.datasets import Datasets
from fourfold.application.topics.deployments import Deployments
from fourfold.application.topics.keeping import Keeping
from fourfold.application.topics.keys import Keys
from fourfold.application.topics.models import Models
from fourfold.application.topics.privacy import Privacy
from fourfold.application.topics.search import Search
from fourfold.application.topics.stores import Stores
from fourfold.application.topics.things import Things
from fourfold.application.topics.whole import Whole


class Platform(
    Datasets, Annotations, Privacy, Models, Deployments, Things, Answers, Keys, Backups, Keeping, Stores, Search, Whole
):
    """What one actor may do in one home. Refs are `name@3`, `name@alias`, or `name` for the newest."""
