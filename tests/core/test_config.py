"""Settings come from the home's file and from FOURFOLD_* variables, and say where they are wrong."""

from __future__ import annotations

import pytest

from fourfold.core.config import Settings, default_home, read_settings
from fourfold.core.errors import BadSpec, MissingExtra
from fourfold.core.extras import need


def test_defaults_then_file_then_variables(tmp_path):
    assert read_settings(tmp_path, {}) == Settings()
    (tmp_path / "fourfold.toml").write_text("port = 9000\nfronts = 2\n")
    settings = read_settings(tmp_path, {"FOURFOLD_PORT": "9001", "OTHER": "x"})
    assert (settings.port, settings.fronts) == (9001, 2)


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("prot = 9000", {}, "has no setting 'prot'. Did you mean 'port'"),
        ("port = ", {}, "is no TOML"),
        ("", {"FOURFOLD_PORT": "many"}, "The variable FOURFOLD_PORT: Expected `int`, got `str`"),
        ("port = 'many'", {}, "fourfold.toml, port: Expected `int`, got `str`"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, text, variables, message):
    (tmp_path / "fourfold.toml").write_text(text)
    with pytest.raises(BadSpec, match=message):
        read_settings(tmp_path, variables)


def test_the_home(tmp_path):
    assert default_home({"FOURFOLD_HOME": str(tmp_path)}) == tmp_path
    assert default_home({}).name == ".fourfold"


def test_a_missing_library_names_its_extra():
    with pytest.raises(MissingExtra, match=r"pip install 'fourfold\[ray\]'") as caught:
        need("no_such_library.sub", extra="ray", what="Runner 'ray'")
    assert "Runner 'ray' needs no_such_library." in str(caught.value)
