"""`gatewright ...`: each verb names its target by a dotted path and loads it when it is called."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bot import __version__
from bot.cli_audit import audit
from bot.cli_endpoints import endpoints
from bot.cli_keys import audit_witness, keys
from bot.cli_models import models
from bot.cli_options import PLAIN, Config, Json, Model, Profile
from bot.cli_recovery import audit_redact, recover
from bot.cli_sandbox import sandbox
from bot.model.errors import GatewrightError, UsageError

app = typer.Typer(name="gatewright", help="From a labelled issue to a reviewed, proven change.", **PLAIN)
tasks = typer.Typer(help="Look at tasks and steer them.", **PLAIN)
config = typer.Typer(help="See and check settings.", **PLAIN)
policy = typer.Typer(help="See who may decide what, and why a gate stands where it does.", **PLAIN)
GROUPS: Final = {
    "tasks": tasks,
    "policy": policy,
    "audit": audit,
    "sandbox": sandbox,
    "models": models,
    "endpoints": endpoints,
    "keys": keys,
    "config": config,
}
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
audit.command("witness")(audit_witness)
audit.command("redact")(audit_redact)
app.command("recover")(recover)

TARGETS: Final = {
    "demo": "bot.terminal.demo:demo",
    "run": "bot.terminal.run:run",
    "approve": "bot.terminal.run:answer",
    "up": "bot.supervisor:up",
    "serve": "bot.app:serve",
    "control": "bot.wiring:control",
    "work": "runners.worker:work",
    "tasks.list": "bot.terminal.listing:show_all",
    "tasks.show": "bot.terminal.listing:show_one",
    "pause": "bot.terminal.brakes:pause",
    "resume": "bot.terminal.brakes:resume",
    "brakes": "bot.terminal.brakes:show",
    "policy.show": "bot.terminal.policy:show",
    "policy.explain": "bot.terminal.policy:explain",
    "audit.verify": "bot.audit.command:verify",
    "audit.show": "bot.audit.command:show",
    "audit.where": "bot.audit.gathering:Where",
    "audit.export": "bot.audit.errands:export",
    "audit.changes": "bot.audit.errands:changes",
    "audit.explain": "bot.audit.errands:explain",
    "sandbox.probe": "runners.workspace.probe:why_not",
    "sandbox.run": "runners.tryout:run",
    "sandbox.limits": "runners.workspace.command:limits",
    "models.resolve": "runners.providers.registry:explanation",
    "models.show": "bot.terminal.routes:resolve",
    "models.check": "runners.checkup:check",
    "endpoints.settings": "bot.endpoints.registry:worker_settings",
    "endpoints.add": "bot.terminal.endpoints:add",
    "endpoints.presets": "bot.terminal.endpoints:show_presets",
    "endpoints.list": "bot.terminal.endpoints:show",
    "endpoints.test": "bot.terminal.endpoints:test",
    "endpoints.remove": "bot.terminal.endpoints:remove",
    "endpoints.rotate": "bot.terminal.endpoints:rotate",
    "keys.init": "bot.terminal.keys:init",
    "keys.show": "bot.terminal.keys:show",
    "keys.rotate": "bot.terminal.keys:rotate",
    "keys.revoke": "bot.terminal.keys:revoke",
    "keys.trust": "bot.terminal.keys:trust",
    "audit.witness": "bot.witness:serve",
    "audit.redact": "bot.terminal.redaction:redact",
    "recover": "bot.terminal.recovery:recover",
    "doctor": "bot.terminal.doctor:doctor",
    "config.show": "bot.settings_page:show",
    "config.check": "bot.terminal.routes:check_settings",
    "config.schema": "bot.settings_page:schema",
}

Yes = Annotated[bool, typer.Option("--yes", help="Approve every gate by itself.")]
Which = Annotated[str, typer.Argument(help="One task, by its id.")]
Repository = Annotated[str, typer.Option("--repo", help="All tasks of a repository: its path, folder or key.")]
All = Annotated[bool, typer.Option("--all", help="Everything that this instance does.")]
TaskId = Annotated[str, typer.Argument(help="Task id, such as 42-k7f3qd.")]


def target(name: str) -> Any:
    """Load what a verb names."""
    module, _, attribute = TARGETS[name].partition(":")
    return getattr(import_module(module), attribute)


def machine() -> Any:
    """Bundle what `bot` asks the runners' half, which it knows by name only."""
    return import_module("bot.terminal.models").Machine(target("models.resolve"), target("sandbox.probe"))


def settings(path: Path | None) -> Any:
    """Load the settings of this call."""
    return import_module("bot.settings_file").load(path)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """From a labelled issue to a reviewed, proven change."""
    if version:
        print(f"gatewright {__version__}")  # noqa: T201 - this is the answer
        raise typer.Exit


@app.command()
def demo(
    yes: Yes = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="Leave the result in this directory.")] = None,
    model: Model = "",
    profile: Profile = "",
    config: Config = None,
) -> None:
    """Run the whole job on a throw-away repository, on this machine."""
    raise typer.Exit(target("demo")(yes=yes, keep=keep, model=model, profile=profile, config=config, machine=machine()))


@app.command()
def run(  # noqa: PLR0917 - typer calls it by name
    text: Annotated[str, typer.Argument(help="What to do.")] = "",
    repo: Annotated[Path, typer.Option("--repo", help="The repository; its checkout stays as it is.")] = Path(),
    issue: Annotated[Path | None, typer.Option("--issue", help="File with a title line and a description.")] = None,
    model: Model = "",
    profile: Profile = "",
    yes: Yes = False,
    approve: Annotated[list[str] | None, typer.Option("--approve", help="GATE=DIGEST, approved beforehand.")] = None,
    config: Config = None,
) -> None:
    """Do the same on a repository of yours: gates in the terminal, result on a branch."""
    gates = approve or []
    raise typer.Exit(
        target("run")(
            text=text, repo=repo, issue=issue, model=model, profile=profile, yes=yes, approve=gates, config=config,
            machine=machine(),
        )
    )  # fmt: skip


@app.command()
def up(config: Config = None) -> None:
    """Run web, control, workers and an embedded Redis on this machine."""
    target("endpoints.settings")(config)  # what a worker could not open is said before anything is started
    raise typer.Exit(target("up")(settings(config), config))


@app.command()
def serve(config: Config = None) -> None:
    """Run the web process alone."""
    target("serve")(settings(config))


@app.command()
def control(config: Config = None) -> None:
    """Run control alone."""
    target("control")(settings(config))


@app.command()
def work(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Queue to serve; may be repeated.")] = None,
    burst: Annotated[bool, typer.Option("--burst", help="End when the queues are empty.")] = False,
    config: Config = None,
) -> None:
    """Run one worker."""
    loaded = target("endpoints.settings")(config)
    import_module("bot.keyring").ensure_runner_key(loaded)
    target("work")(loaded, queue or [loaded.worker.queue], burst=burst)


@app.command()
def pause(
    task: Which = "",
    repo: Repository = "",
    everything: All = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who find it paused.")] = "",
    config: Config = None,
) -> None:
    """Start nothing new in a task, a repository or the whole instance, until `resume`; what runs ends its step."""
    raise typer.Exit(target("pause")(task=task, repo=repo, everything=everything, reason=reason, config=config))


@app.command()
def resume(task: Which = "", repo: Repository = "", everything: All = False, config: Config = None) -> None:
    """Go on with what `pause` held back."""
    raise typer.Exit(target("resume")(task=task, repo=repo, everything=everything, config=config))


@app.command()
def brakes(config: Config = None, as_json: Json = False) -> None:
    """List what is paused from here, by whom and why."""
    raise typer.Exit(target("brakes")(config, as_json=as_json))


@app.command()
def doctor(
    project: Annotated[str, typer.Option("--project", help="Project on GitLab to check: our role, webhooks.")] = "",
    self_test: Annotated[
        str, typer.Option("--self-test", help="PROJECT#ISSUE on GitLab that gets a note for a moment.")
    ] = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check what this machine needs, and say how to mend what is missing."""
    raise typer.Exit(target("doctor")(config, as_json=as_json, project=project, self_test=self_test))


@tasks.command("list")
def tasks_list(config: Config = None, as_json: Json = False) -> None:
    """List all tasks, newest change first."""
    raise typer.Exit(target("tasks.list")(config, as_json=as_json))


@tasks.command("show")
def tasks_show(task: TaskId, config: Config = None, as_json: Json = False) -> None:
    """Show one task, what it waits for, and how to answer."""
    raise typer.Exit(target("tasks.show")(task, config, as_json=as_json))


@tasks.command("approve")
def tasks_approve(task: TaskId, digest: str, config: Config = None) -> None:
    """Approve exactly this digest of a local task, and go on with it."""
    raise typer.Exit(target("approve")(task, f"approve {digest}", config))


@tasks.command("say")
def tasks_say(
    task: TaskId,
    words: Annotated[str, typer.Argument(help='What a comment would say: "revise <what>", "fix <what>", "reject".')],
    config: Config = None,
) -> None:
    """Give a local task any command of docs/commands.md, and go on with it."""
    raise typer.Exit(target("approve")(task, words, config))


@tasks.command("retry")
def tasks_retry(task: TaskId, hint: Annotated[str, typer.Argument()] = "", config: Config = None) -> None:
    """Try the step again that blocked a local task."""
    raise typer.Exit(target("approve")(task, f"retry {hint}".rstrip(), config))


@tasks.command("cancel")
def tasks_cancel(task: TaskId, config: Config = None) -> None:
    """End a local task."""
    raise typer.Exit(target("approve")(task, "cancel", config))


@tasks.command("resume")
def tasks_resume(task: TaskId, config: Config = None) -> None:
    """Go on with a local task where it was interrupted."""
    raise typer.Exit(target("approve")(task, "", config))


@policy.command("show")
def policy_show(
    preset: Annotated[str, typer.Option("--preset", help="Show team or regulated, not the settings.")] = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print the server's policy, and where each value comes from."""
    raise typer.Exit(target("policy.show")(config, preset_name=preset, as_json=as_json))


@policy.command("explain")
def policy_explain(
    task: Annotated[str, typer.Option("--task", help="Task id, such as 42-k7f3qd.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say for each gate of a task which rules are met, which are not, why, and which file asks for them."""
    raise typer.Exit(target("policy.explain")(task, config, as_json=as_json))


@config.command("show")
def config_show(config: Config = None, as_json: Json = False) -> None:
    """Print all settings in force, secrets masked."""
    raise typer.Exit(target("config.show")(settings(config), as_json=as_json))


@config.command("check")
def config_check(config: Config = None) -> None:
    """Check a settings file and the models of its profiles, without starting anything."""
    raise typer.Exit(target("config.check")(config))


@config.command("schema")
def config_schema() -> None:
    """Print the JSON schema of gatewright.toml."""
    raise typer.Exit(target("config.schema")())


def main() -> None:
    """Run the command line; every error a person can cause is said in words, never as a traceback."""
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except GatewrightError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: GatewrightError, code: int) -> None:
    if "--json" in sys.argv:
        said = {"error": {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}}
        sys.stdout.write(json.dumps(said) + os.linesep)
    else:
        lines = [f"error[{error.code}]: {error.what}"]
        for label, words in (("why", error.why), ("fix", error.fix)):
            lines += [f"  {label}: {words}".replace("\n", "\n       ")] if words else []
        sys.stderr.write("\n".join(lines) + "\n")
    sys.exit(code)
