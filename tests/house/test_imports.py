"""The direction of the house: nouns at the bottom, composition at the top, nothing sideways."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest

from bot.cli import TARGETS
from bot.tasks.queue import FUNCTION
from tests.house.code import ROOT, at_import, imported, ours, short, sources, tree

# Room -> what it may import. `forges.protocol` allows that one module, `forges` the whole folder. The order is the
# reading order: each line uses lines above it only.
BOT = {
    "bot.model": "",
    "bot.tether": "",
    "bot.policy": "bot.model",
    "bot.settings": "bot.model",
    "bot.settings_file": "bot.settings bot.model bot.policy",
    "bot.profiles": "bot.model bot.settings",
    "bot.residency": "bot.model bot.settings bot.profiles",
    "bot.project_secrets": "bot.model bot.settings",
    "bot.network": "bot.model bot.settings bot.settings_file",
    "bot.endpoints": "bot.model bot.settings bot.settings_file",
    "bot.settings_page": "bot.model bot.settings bot.settings_file",
    "bot.audit": "bot.model bot.policy",
    "bot.logs": "bot.audit",
    "bot.known_secrets": "bot.settings",
    "bot.forges": "bot.model bot.settings",
    "bot.reports": "bot.model bot.policy bot.settings bot.audit bot.known_secrets",
    "bot.commands": "bot.model bot.policy bot.forges.protocol",
    "bot.embedded": "bot.model bot.tether",
    "bot.inbox": "bot.model",
    "bot.keyring": "bot.model bot.audit bot.settings bot.settings_file",
    "bot.witness": "bot.model bot.logs bot.audit",
    "bot.tasks": "bot.model bot.policy bot.settings bot.profiles bot.residency bot.audit bot.known_secrets "
    "bot.forges.protocol "
    "bot.reports bot.commands bot.keyring",
    "bot.web": "bot.model bot.inbox",
    "bot.control": "bot.model bot.forges bot.inbox bot.tasks",
    "bot.wiring": "bot.model bot.logs bot.known_secrets bot.network bot.audit bot.endpoints bot.forges "
    "bot.settings bot.settings_file bot.inbox bot.keyring bot.tasks bot.control",
    "bot.app": "bot.model bot.logs bot.settings bot.project_secrets bot.forges bot.inbox bot.web",
    "bot.supervisor": "bot.model bot.settings bot.settings_file bot.embedded bot.keyring bot.tether bot.app",
    "bot.terminal": "bot.model bot.policy bot.settings bot.settings_file bot.settings_page bot.profiles bot.residency "
    "bot.audit bot.forges "
    "bot.reports bot.embedded bot.endpoints bot.inbox "
    "bot.keyring bot.tasks bot.web bot.control bot.wiring bot.app bot.supervisor bot.network",
    "bot.cli_options": "",
    "bot.cli_audit": "bot.cli_options",
    "bot.cli_endpoints": "bot.cli_options",
    "bot.cli_keys": "bot.cli_options",
    "bot.cli_models": "bot.cli_options",
    "bot.cli_recovery": "bot.cli_options",
    "bot.cli_sandbox": "bot.cli_options",
    # and by dotted names, when a verb is called, whatever TARGETS says
    "bot.cli": "bot.model bot.cli_options bot.cli_audit bot.cli_endpoints bot.cli_keys bot.cli_models bot.cli_recovery "
    "bot.cli_sandbox",
    "bot.__main__": "bot.cli",
    "bot": "",
}
# What a worker may know of the deciding half: the nouns, the settings, the shapes of records and keys.
NOUNS = "bot.model bot.policy bot.settings bot.profiles bot.residency bot.forges.protocol"
RUNNERS = {
    "runners.names": "",
    "runners.process": "bot.model",
    "runners.providers": f"{NOUNS} runners.loop",
    "runners.loop": f"{NOUNS} runners.providers.protocol runners.providers.errors",
    "runners.gateway": f"{NOUNS} runners.providers.protocol runners.providers.errors",
    "runners.quality": f"{NOUNS} runners.providers.protocol",
    "runners.workspace": f"{NOUNS} bot.network runners.providers.protocol",
    "runners.phases": f"{NOUNS} runners.providers.protocol runners.quality",
    "runners.site": "bot.model bot.audit bot.known_secrets bot.settings bot.settings_file",
    "runners.handover": "bot.model bot.settings",
    "runners.stream": "bot.model bot.audit runners.names",
    "runners.heartbeat": "bot.model runners.names",
    "runners.purse": "bot.model runners.names",
    "runners.access": f"{NOUNS} bot.audit runners.names",
    "runners.evidence": f"{NOUNS} bot.audit runners.names runners.quality runners.workspace",
    "runners.notes": f"{NOUNS} bot.audit runners.names",
    "runners.agent": f"{NOUNS} runners.gateway runners.providers runners.site",
    "runners.checkup": f"{NOUNS} bot.network runners.gateway runners.providers",
    "runners.egress": "bot.model bot.settings runners.gateway.listener runners.providers.protocol",
    "runners.way_out": "runners.egress runners.providers.protocol runners.site",
    "runners.setup": f"{NOUNS} bot.network runners.egress runners.providers.protocol runners.quality runners.site "
    "runners.way_out runners.workspace",
    "runners.jails": f"{NOUNS} bot.network runners.providers.protocol runners.setup runners.site runners.way_out "
    "runners.workspace",
    "runners.tryout": "bot.model bot.logs bot.settings runners.egress runners.gateway runners.jails runners.process "
    "runners.providers.protocol runners.site runners.way_out runners.workspace",
    "runners.scope": "bot.model bot.audit",
    "runners.sight": f"{NOUNS} bot.audit runners.scope runners.workspace",
    "runners.scoping": f"{NOUNS} bot.audit runners.evidence runners.providers.protocol runners.scope "
    "runners.sight runners.workspace",
    "runners.leaks": f"{NOUNS} bot.audit runners.scope runners.sight runners.workspace",
    "runners.renewal": f"{NOUNS} runners.evidence runners.leaks runners.providers.protocol runners.quality "
    "runners.scope runners.workspace",
    "runners.foreign": f"{NOUNS} bot.audit runners.workspace",
    "runners.readback": "bot.model bot.audit bot.forges.protocol runners.workspace",
    "runners.ground": f"{NOUNS} bot.audit runners.access runners.site runners.workspace",
    "runners.leftovers": "runners.workspace",
    "runners.workbench": f"{NOUNS} bot.audit runners.access runners.agent runners.evidence runners.foreign "
    "runners.gateway.budget runners.ground runners.jails runners.leaks runners.phases runners.providers "
    "runners.quality runners.readback runners.renewal runners.scoping runners.setup runners.site runners.stream "
    "runners.workspace",
    "runners.pipeline": f"{NOUNS} runners.access runners.evidence runners.ground runners.heartbeat runners.names "
    "runners.notes runners.phases runners.purse runners.site runners.stream runners.workbench",
    "runners.job": f"{NOUNS} bot.audit bot.keyring runners.access runners.handover runners.names runners.pipeline "
    "runners.site runners.stream",
    "runners.worker": f"{NOUNS} bot.known_secrets bot.logs bot.network runners.agent runners.egress runners.handover "
    "runners.jails runners.job runners.leftovers runners.names runners.process runners.site",
    "runners": "",
}
ROOMS = BOT | RUNNERS
VOCABULARY = ("protocol", "errors", "runtime", "records", "lines", "tree", "tools")
SIBLINGS = ("bot.forges", "runners.providers", "runners.phases")
COMPOSERS = ("runners.providers.registry",)  # picks one of its siblings
SDKS = ("claude_agent_sdk", "openai", "anthropic")
HEAVY = (*SDKS, "runners", "jinja2", "cryptography.hazmat", "gidgethub", "gitlab", "requests", "rq")

# Every file that starts a program, and why.
STARTS = {
    "bot/audit/objects.py": "asks git for raw objects, and hashes them again",
    "bot/audit/origins.py": "asks git which commits lines come from",
    "bot/audit/remote.py": "fetches a repository that an auditor names",
    "bot/audit/outside.py": "`[audit] sign_command`, which asks a token or a key service to sign",
    "bot/embedded.py": "the Redis of one machine",
    "bot/endpoints/master.py": "`[registry] key_command`, which prints the master keys",
    "bot/forges/local_git.py": "the local forge is a git repository",
    "bot/supervisor.py": "the roles of `gatewright up`",
    "bot/terminal/checks.py": "tries our own verbs",
    "bot/terminal/checks_machine.py": "asks programs for their versions",
    "bot/terminal/demo.py": "makes the sample repository",
    "bot/terminal/gates.py": "opens the person's editor",
    "bot/terminal/session.py": "one worker for one command",
    "runners/providers/command_run.py": "agent runtimes, through the jail's wrapper",
    "runners/loop/search.py": "the search of our tool loop, in a process that can be ended",
    "runners/providers/copilot_package.py": "has the Copilot CLI unpack itself in a jail",
    "runners/workspace/command.py": "`gatewright sandbox run`",
    "runners/workspace/disk.py": "measures what a tree takes, with du",
    "runners/workspace/files.py": "owners and removal of trees",
    "runners/workspace/git.py": "the one place of a worker that starts git",
    "runners/workspace/kit.py": "asks `ldd` which libraries our programs need in a root file system of a team",
    "runners/workspace/probe.py": "tries a jail",
    "runners/workspace/process.py": "programs in the jail",
    "runners/workspace/signature.py": "ssh-keygen, which signs the bot's commits",
}
GIT = {
    "bot/audit/objects.py",
    "bot/audit/origins.py",
    "bot/audit/remote.py",
    "bot/forges/local_git.py",
    "bot/terminal/checks_machine.py",
    "bot/terminal/demo.py",
    "runners/workspace/git.py",
}
STARTERS = {
    "subprocess.run", "subprocess.call", "subprocess.Popen", "subprocess.check_call", "subprocess.check_output",
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "os.system", "os.popen", "os.posix_spawn",
}  # fmt: skip


def room(module: str) -> str:
    """Find the room of a module: the longest name in the tables that it lies in."""
    return max((name for name in ROOMS if (module + ".").startswith(name + ".")), key=len)


def test_every_module_has_a_room() -> None:
    homeless = [name for name in sources() if room(name) in {"bot", "runners"} and name not in ROOMS]
    assert not homeless, "give it a line in BOT or RUNNERS, as far down as what it uses allows"


@pytest.mark.parametrize("module", sources())
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    allowed = (room(module), "bot.__version__", *ROOMS[room(module)].split())
    foreign = {
        each for each in ours(module)
        if each not in {"bot", "runners"} and not any((each + ".").startswith(name + ".") for name in allowed)
    }  # fmt: skip
    assert not foreign, f"{module} may import {allowed}"


def test_bot_never_imports_runners() -> None:
    assert not [
        name for name in sources() if name.startswith("bot") for each in ours(name) if each.startswith("runners")
    ]


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {name: {each for each in _at_import(name) if each in sources()} for name in sources()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for each in sorted(graph[name] - {name}):
                visit(each, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def _at_import(name: str) -> Iterator[str]:
    for statement in at_import(tree(sources()[name]).body):
        yield from imported(statement)


@pytest.mark.parametrize("folder", SIBLINGS)
def test_siblings_meet_only_in_their_protocol(folder: str) -> None:
    crossings = {
        (name, each) for name in sources() if name.startswith(folder + ".") and name not in COMPOSERS
        for each in ours(name) if each.startswith(folder + ".")
        if _family(each) != _family(name) and _family(each) not in VOCABULARY
    }  # fmt: skip
    assert not crossings


def _family(module: str) -> str:
    return module.rpartition(".")[2].split("_")[0]  # github, github_auth and github_events are one


def test_provider_sdks_are_imported_when_a_provider_is_used() -> None:
    early = {
        (name, each)
        for name in sources()
        for each in _at_import(name)
        if each.split(".")[0] in SDKS
    }  # fmt: skip
    assert not early


def test_provider_sdks_are_the_business_of_providers() -> None:
    users = {
        name
        for name, path in sources().items()
        for node in ast.walk(tree(path))
        for each in imported(node)
        if each.split(".")[0] in SDKS
    }
    assert users
    assert all(name.startswith("runners.providers.") for name in users), users


def test_the_web_process_starts_light() -> None:
    program = f"import sys, bot.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"


def test_help_starts_light() -> None:
    program = "import sys, bot.cli; print([n for n in sys.modules if n.startswith('bot.')])"
    said = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    verbs = [
        "bot.cli_options",
        "bot.cli_audit",
        "bot.cli_endpoints",
        "bot.cli_keys",
        "bot.cli_models",
        "bot.cli_recovery",
        "bot.cli_sandbox",
    ]
    light = [*verbs, "bot.model", "bot.model.errors", "bot.cli"]
    assert said.stdout.strip() == str(light)


@pytest.mark.parametrize("verb", TARGETS)
def test_a_verb_leads_somewhere(verb: str) -> None:
    module, _, attribute = TARGETS[verb].partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_the_queue_names_the_one_function_of_the_worker() -> None:
    module, _, attribute = FUNCTION.rpartition(".")
    assert FUNCTION == "runners.job.run"
    assert callable(getattr(import_module(module), attribute))


def test_only_named_files_start_programs() -> None:
    starters = {
        short(path)
        for path in sources().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTERS
    }
    assert starters == set(STARTS)


def test_only_named_files_start_git() -> None:
    starters = {short(path) for path in sources().values() if short(path) in STARTS and any(_names_git(tree(path)))}
    assert starters == GIT


def _names_git(module: ast.Module) -> Iterator[bool]:
    """See `["git", ...]`, `("git", ...)` and `which("git")`."""
    for node in ast.walk(module):
        first: list[ast.expr] = []
        if isinstance(node, ast.List | ast.Tuple):
            first = node.elts[:1]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("which"):
            first = node.args[:1]
        yield any(isinstance(each, ast.Constant) and each.value == "git" for each in first)


def test_no_shell_reads_a_command_line() -> None:
    for path in sources().values():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                pytest.fail(f"{short(path)}:{node.value.lineno} starts a shell")
