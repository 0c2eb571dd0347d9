"""Settings from the environment and `vidpipe.toml`; the environment wins; mistakes are named."""

import os
from pathlib import Path

import pytest

from vidpipe.errors import ConfigurationError
from vidpipe.settings import Settings, load_settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def write(home: Path, text: str) -> Path:
    file = home / "vidpipe.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(home: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(home)
    return caught.value


def test_without_file_and_environment_the_defaults_hold(home: Path) -> None:
    settings = load_settings(home)
    assert settings.home == home
    assert (settings.sample_fps, settings.cnn_dtype, settings.failure_budget) == (4.0, "auto", 0.1)
    assert settings.mlflow_uri is None
    assert settings.workers >= 2


def test_the_environment_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPIPE_SAMPLE_FPS", "7.5")
    monkeypatch.setenv("VIDPIPE_FFMPEG", "/opt/ffmpeg")
    settings = load_settings(home)
    assert settings.sample_fps == 7.5
    assert settings.ffmpeg == Path("/opt/ffmpeg")


def test_the_file_is_read(home: Path) -> None:
    write(home, 'sample_fps = 2.5\ncnn_dtype = "bfloat16"\nworkers = 3\n')
    settings = load_settings(home)
    assert (settings.sample_fps, settings.cnn_dtype, settings.workers) == (2.5, "bfloat16", 3)


def test_the_environment_wins_over_the_file_name_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "sample_fps = 2.5\ntop_k = 2\n")
    monkeypatch.setenv("VIDPIPE_SAMPLE_FPS", "8")
    settings = load_settings(home)
    assert (settings.sample_fps, settings.top_k) == (8.0, 2)


def test_an_empty_variable_is_as_good_as_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "workers = 3\n")
    for name in ("WORKERS", "FEATURES_URI", "LEASE_URI", "SAMPLE_FPS"):
        monkeypatch.setenv(f"VIDPIPE_{name}", "")
    settings = load_settings(home)
    assert (settings.workers, settings.sample_fps) == (3, 4.0)
    assert settings.features_uri is None and settings.lease_uri is None


def test_the_home_comes_from_the_caller_then_the_environment_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == tmp_path / ".vidpipe"
    monkeypatch.setenv("VIDPIPE_HOME", "elsewhere")
    assert load_settings().home == tmp_path / "elsewhere"
    assert load_settings(tmp_path / "here").home == tmp_path / "here"


def test_the_file_is_that_of_the_home_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, fps in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, f"sample_fps = {fps}\n")
    monkeypatch.setenv("VIDPIPE_HOME", str(tmp_path / "one"))
    assert load_settings().sample_fps == 1
    assert load_settings(tmp_path / "two").sample_fps == 2


def test_a_tilde_means_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(Path("~/videos")).home == tmp_path / "videos"


def test_an_unknown_name_in_the_file_is_refused_by_name(home: Path) -> None:
    file = write(home, "sampel_fps = 2.5\n")
    error = refusal(home)
    assert "sampel_fps" in error.message
    assert str(file) in error.next_step


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sample_fps", "0"),
        ("sample_fps", "-4"),
        ("sample_fps", "1001"),
        ("sample_fps", '"fast"'),
        ("cnn_dtype", '"float64"'),
        ("workers", "0"),
        ("top_k", "256"),
        ("failure_budget", "1.5"),
        ("failure_budget", "10"),
        ("decode_min_s", "0"),
        ("part_frames", "2.5"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_name_and_value(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    write(home, f"{name} = {value}\n")
    in_file = refusal(home)
    (home / "vidpipe.toml").unlink()
    monkeypatch.setenv(f"VIDPIPE_{name.upper()}", value.strip('"'))
    in_environment = refusal(home)
    for error in (in_file, in_environment):
        assert name in error.message
        assert value.strip('"') in error.message
        assert f"VIDPIPE_{name.upper()}" in error.next_step


@pytest.mark.parametrize("text", [b"sample_fps = = 4\n", b'model_name = "caf\xe9"\n'])
def test_a_file_that_is_not_toml_is_refused_by_its_name(home: Path, text: bytes) -> None:
    file = home / "vidpipe.toml"
    file.write_bytes(text)
    error = refusal(home)
    assert str(file) in error.message
    assert str(file) in error.next_step


def test_settings_cannot_be_changed_afterwards(home: Path) -> None:
    settings = load_settings(home)
    with pytest.raises(ValueError, match="frozen"):
        settings.sample_fps = 8.0  # type: ignore[misc]


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_former_name_is_taken_with_a_warning(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDPIPE_MAX_WORKERS", "")  # so that it is unset afterwards, too
    monkeypatch.delenv("VIDPIPE_MAX_WORKERS")
    monkeypatch.setenv("VIDPIPE_LANES", "7")
    assert load_settings(home).max_workers == 7
    assert "VIDPIPE_LANES is called VIDPIPE_MAX_WORKERS now" in caplog.text
    os.environ.pop("VIDPIPE_MAX_WORKERS")
    write(home, "lanes = 5\n")
    assert load_settings(home).max_workers == 5
