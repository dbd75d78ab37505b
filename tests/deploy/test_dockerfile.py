"""The Dockerfile without an engine: what it says, and its commands run from exactly the files that the image has."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests import own_project

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
IGNORE_RULES = (ROOT / ".dockerignore").read_text().split()


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    name: str
    arguments: str


def parse(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


INSTRUCTIONS = parse(TEXT)


def arguments_of(name: str) -> list[str]:
    return [instruction.arguments for instruction in INSTRUCTIONS if instruction.name == name]


def environment() -> dict[str, str]:
    """What the image's ENV sets, as far as it does not build on what was set before."""
    return dict(pair.split("=", 1) for line in arguments_of("ENV") for pair in shlex.split(line))


def copies() -> list[tuple[list[str], str]]:
    """Sources and destination of each COPY."""
    return [(words[:-1], words[-1]) for words in map(shlex.split, arguments_of("COPY"))]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps `path` out: the last rule that names it, or a folder above it, decides."""
    above = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    last = next(
        (rule for rule in reversed(IGNORE_RULES) if any(_matches(rule.lstrip("!"), each) for each in above)), "!"
    )
    return not last.startswith("!")


def _matches(rule: str, path: str) -> bool:
    pattern = re.escape(rule).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(pattern, path) is not None


def build_context() -> list[str]:
    """The files of the working tree that `docker build` would see."""
    paths = (path.relative_to(ROOT).as_posix() for path in _files(ROOT))
    return [path for path in paths if not is_ignored(path)]


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            found.append(path)
        elif path.name not in (".venv", ".git", ".perennial"):  # thousands of files, each ignored: see the test below
            found += _files(path)
    return found


def pip_installs() -> list[list[str]]:
    """The arguments of each `pip install` of a RUN."""
    commands = [command.strip() for line in arguments_of("RUN") for command in line.split("&&")]
    return [shlex.split(command)[2:] for command in commands if command.startswith("pip install")]


def test_the_base_is_cuda_unless_a_build_argument_says_otherwise() -> None:
    base, start = INSTRUCTIONS[:2]
    assert base.name == "ARG" and re.fullmatch(r"BASE=nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu24\.04", base.arguments)
    assert start == Instruction("FROM", "${BASE}")
    assert len(arguments_of("FROM")) == 1


def test_the_commands_in_the_comments_set_arguments_that_the_file_declares() -> None:
    declared = {argument.partition("=")[0] for argument in arguments_of("ARG")}
    assert set(re.findall(r"--build-arg (\w+)=", TEXT)) == declared


def test_every_image_has_a_tag_that_stays_what_it_is() -> None:
    images = re.findall(r"BASE=(\S+)", TEXT)
    assert len(images) == 2
    for image in images:
        _, _, tag = image.partition(":")
        assert re.match(r"\d+\.\d+", tag)


def test_nothing_runs_as_root_after_the_last_step_that_needs_it() -> None:
    names = [instruction.name for instruction in INSTRUCTIONS]
    (user,) = arguments_of("USER")
    assert user not in ("root", "0")
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in ("RUN", "COPY"))
    assert any(re.search(rf"useradd .*--create-home .*\b{user}\b", line) for line in arguments_of("RUN"))


def test_the_only_folder_that_the_user_owns_is_the_volume_of_the_projects() -> None:
    (volume,), (folder,), (user,) = arguments_of("VOLUME"), arguments_of("WORKDIR"), arguments_of("USER")
    owned = [Path(folder, path) for line in arguments_of("RUN") for path in re.findall(rf"chown {user} (\S+)", line)]
    storage = {yaml.safe_load(path.read_text()).get("storage", ".perennial") for path in ROOT.glob("configs/*.yaml")}
    assert owned == [Path(volume)]
    assert [Path(folder, each) for each in storage] == owned


def test_modules_and_the_pull_step_of_prefect_yaml_find_the_code_where_it_is_copied() -> None:
    (folder,) = arguments_of("WORKDIR")
    ((_, arguments),) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["pull"][0].items()
    (variable,) = re.findall(r"{{ \$(\w+) }}", arguments["directory"])
    assert environment()["PYTHONPATH"] == folder
    assert environment()[variable] == folder


def test_every_copied_file_exists_and_is_not_ignored() -> None:
    for sources, _ in copies():
        for source in sources:
            assert (ROOT / source).exists() and not is_ignored(source)


def test_the_build_sees_exactly_what_is_copied() -> None:
    sources = {source for each, _ in copies() for source in each}
    assert {path.split("/")[0] for path in build_context()} == sources


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".perennial/registry",
        ".env",
        "tests/own_project.py",
        "models/__pycache__/a.pyc",
    ],
)
def test_what_is_private_or_large_stays_out_of_the_build(path: str) -> None:
    assert is_ignored(path)


@pytest.mark.parametrize("command", arguments_of("RUN"), ids=lambda command: command.split()[0])
def test_every_run_is_a_command_that_a_posix_shell_can_read(command: str) -> None:
    subprocess.run(["sh", "-n", "-c", command], check=True)


def test_the_entry_point_and_the_command_get_signals_and_not_a_shell() -> None:
    for name in ("ENTRYPOINT", "CMD"):
        (words,) = arguments_of(name)
        assert all(isinstance(word, str) for word in json.loads(words))


def test_every_package_is_installed_with_one_version() -> None:
    assert len(pip_installs()) == 2
    for arguments in pip_installs():
        named = [Requirement(word) for word in arguments if not word.startswith("-") and word != "requirements.lock"]
        assert all(re.fullmatch(r"==[^*]+", str(requirement.specifier)) for requirement in named)
        assert "requirements.lock" in arguments


def test_every_line_of_the_lock_is_one_version_of_a_package_named_once() -> None:
    locked = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
    assert all(re.fullmatch(r"==[^*]+", str(requirement.specifier)) for requirement in locked)
    assert len({requirement.name.lower().replace("_", "-") for requirement in locked}) == len(locked)


def test_torch_has_the_same_version_in_the_image_as_in_the_lock() -> None:
    torch = next(word for arguments in pip_installs() for word in arguments if word.startswith("torch=="))
    assert torch in (ROOT / "requirements.lock").read_text().split()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what COPY brings into the image, writable only where the image's user may write."""
    app, context = tmp_path_factory.mktemp("image") / "app", build_context()
    for source, destination in ((source, destination) for sources, destination in copies() for source in sources):
        for path in (path for path in context if path == source or path.startswith(f"{source}/")):
            target = app / destination / (source if path == source else Path(path).relative_to(source))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)
    (app / ".perennial").mkdir()
    for folder in (app, *(path for path in app.rglob("*") if path.is_dir() and path.name != ".perennial")):
        folder.chmod(0o555)
    return app


def run_in(image: Path, *command: str, **variables: str) -> str:
    """Run a command as a container would: the image's environment, its folder, and a user who is not root."""
    home = image.parent / "home"
    home.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    inside = {name: value.replace("/app", str(image)) for name, value in environment().items() if name != "VIRTUAL_ENV"}
    # Root writes where no permission allows it; without that capability its rights are those of any other user.
    as_user = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    finished = subprocess.run(
        [*as_user, *command],
        cwd=image,
        env=inside | {"PATH": path, "HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.mark.slow
def test_by_itself_the_image_lists_the_flows(image: Path) -> None:
    said = run_in(image, *json.loads(arguments_of("CMD")[0]))
    assert all(f"flows.{name}" in said for name in ("score", "watch", "retrain", "rollback", "replay", "status"))


@pytest.mark.slow
def test_status_runs_from_the_files_of_the_image(image: Path) -> None:
    assert "flights has no champion yet" in run_in(image, "python", "-m", "flows.status", "configs/flights.yaml")


@pytest.mark.slow
def test_retrain_runs_in_the_image_and_writes_nowhere_but_in_the_volume_and_in_its_home(
    image: Path, prefect_server: str
) -> None:
    project = own_project.write(image.parent / "own")
    rows = f"data.source.init_args.path={project.parent / 'rows'}"
    before = {path for path in image.rglob("*") if ".perennial" not in path.parts}
    said = run_in(
        image,
        *("python", "-m", "flows.retrain", str(project), "--as-of", "2025-02-15", "--set", rows),
        PYTHONPATH=f"{image}{os.pathsep}{project.parent}",
        PREFECT_API_URL=prefect_server,
        WANDB_MODE="offline",
    )
    assert "promoted" in said
    assert (image / ".perennial" / "registry" / "churn").is_dir()
    assert {path for path in image.rglob("*") if ".perennial" not in path.parts} == before
