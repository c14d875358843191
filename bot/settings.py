"""Typed settings: `gatewright.toml`, the environment, and files for secrets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from bot.model.policy import Policy
from bot.model.section import Section
from bot.model.team import Team


class Server(Section, frozen=True):
    """Where the web process listens and where state lives."""

    host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one")] = 8080
    data_dir: Annotated[str, Meta(description="State directory; empty takes XDG_STATE_HOME/gatewright")] = ""
    public_url: Annotated[str, Meta(description="URL under which people reach the pages")] = ""
    instance: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$", description="Name of this instance")] = (
        "gatewright"
    )


class Redis(Section, frozen=True):
    """The store of inbox, journals in flight and queue."""

    url: Annotated[str, Meta(description='"embedded", redis://, rediss:// or unix://')] = "embedded"
    allow_volatile: Annotated[bool, Meta(description="Accept a Redis that keeps nothing on disk (unsafe)")] = False
    inbox_max: Annotated[int, Meta(ge=1, description="Deliveries that may wait before new ones get 503")] = 10_000


class Trigger(Section, frozen=True):
    """What starts a task and how people address the bot."""

    label: Annotated[str, Meta(description="Issue label that opens a task")] = "gatewright"
    bot_name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,38}$", description="Name in commands")] = "gatewright"
    command_style: Annotated[Literal["bare", "named"], Meta(description="Form shown on GitHub")] = "bare"
    profile: Annotated[str, Meta(description="Name in [profiles] of tasks that choose none; empty: [profile]")] = ""
    pause_label: Annotated[
        str, Meta(min_length=1, description="Issue label that holds a task for as long as it is set")
    ] = "gatewright-paused"


class GitHub(Section, frozen=True):
    """A GitHub App or a personal token, github.com or Enterprise."""

    api_url: Annotated[str, Meta(description="REST base URL")] = "https://api.github.com"
    web_url: Annotated[str, Meta(description="Web and git base URL")] = "https://github.com"
    app_id: Annotated[int, Meta(ge=0, description="GitHub App id; 0 means a token is used")] = 0
    private_key: Annotated[str, Meta(description="App private key, PEM (secret)")] = ""
    token: Annotated[str, Meta(description="Personal access token (secret)")] = ""
    webhook_secrets: Annotated[tuple[str, ...], Meta(description="Webhook secrets, newest first (secret)")] = ()
    write_gap: Annotated[
        float, Meta(ge=0, le=60, description="Seconds between writes that notify people, on average; GitHub advises 1")
    ] = 1.0


class GitLab(Section, frozen=True):
    """A GitLab, gitlab.com or self-hosted, and the access token of the bot."""

    url: Annotated[str, Meta(description="Base URL as people open it, with a sub-path where there is one")] = (
        "https://gitlab.com"
    )
    token: Annotated[str, Meta(description="Project, group or personal access token (secret)")] = ""
    push_token: Annotated[str, Meta(description="Token with write_repository for git; empty: `token` (secret)")] = ""
    webhook_tokens: Annotated[tuple[str, ...], Meta(description="Webhook secret tokens, newest first (secret)")] = ()
    signing_secrets: Annotated[tuple[str, ...], Meta(description="Webhook signing tokens, whsec_... (secret)")] = ()
    require_signing: Annotated[bool, Meta(description="Refuse deliveries that are not signed")] = False
    ca_file: Annotated[str, Meta(description="PEM file of its certificate authority, beside [network] ca_file")] = ""


class Project(Section, frozen=True):
    """Webhook secrets of one repository, named "host/id", or "host/path" with `id`: its deliveries need one of them."""

    id: Annotated[
        int, Meta(ge=0, lt=2**53, description="The repository's number on its forge; 0 where the name ends in it")
    ] = 0
    webhook_secrets: Annotated[tuple[str, ...], Meta(description="GitHub: webhook secrets (secret)")] = ()
    webhook_tokens: Annotated[tuple[str, ...], Meta(description="GitLab: webhook secret tokens (secret)")] = ()
    signing_secrets: Annotated[
        tuple[str, ...], Meta(description="GitLab: webhook signing tokens, whsec_... (secret)")
    ] = ()


class Network(Section, frozen=True):
    """The way out: for forge APIs, git, models and the agents in their jail alike."""

    ca_file: Annotated[str, Meta(description="PEM file of certificate authorities to trust besides the system's")] = ""
    proxy: Annotated[str, Meta(description="http://host:port of a proxy; empty takes HTTPS_PROXY (secret)")] = ""
    no_proxy: Annotated[tuple[str, ...], Meta(description="Hosts and domains reached directly; no address ranges")] = ()


class ProfileTable(Section, frozen=True):
    """Which model does which phase, as model strings."""

    spec: str = "sonnet"
    planning: str = "opus"
    coding: str = "sonnet"
    qa: str = "sonnet"
    qa_fixer: str = "sonnet"


class NamedProfile(Section, frozen=True):
    """A profile that tasks can choose by name; phases that it leaves empty are as in [profile]."""

    file: Annotated[
        str, Meta(description='JSON file {"phaseModels": {"spec": "...", ...}} to read it from, beside this file')
    ] = ""
    spec: str = ""
    planning: str = ""
    coding: str = ""
    qa: str = ""
    qa_fixer: str = ""


class Price(Section, frozen=True):
    """Prices in USD per million tokens."""

    input: Annotated[float, Meta(ge=0)] = 0.0
    output: Annotated[float, Meta(ge=0)] = 0.0
    cache_read: Annotated[float | None, Meta(description="Input read from a prompt cache; unset: as the API")] = None
    cache_write: Annotated[float | None, Meta(description="Input put into a prompt cache; unset: as the API")] = None


class ProviderTable(Section, frozen=True):
    """One provider: where it is and with which key."""

    base_url: Annotated[str, Meta(description="API base URL; empty takes the vendor's")] = ""
    api_key: Annotated[str, Meta(description="API key (secret)")] = ""
    auth_token: Annotated[str, Meta(description="OAuth bearer token instead of a key (secret)")] = ""
    enabled: Annotated[bool, Meta(description="Whether this provider may be used")] = True
    prices: Annotated[dict[str, Price], Meta(description="Model name -> price")] = {}
    context: Annotated[
        int,
        Meta(
            ge=0,
            description="Tokens a model can read, where its runtime does not know it; 0: until the server refuses, "
            "Ollama: as its model says",
        ),
    ] = 0
    residency: Annotated[
        str, Meta(pattern=r"^[a-z0-9-]{0,40}\Z", description="Where what is sent there is worked on, in your own words")
    ] = ""
    binary: Annotated[
        str, Meta(description="Path of an agent runtime's program; empty: where `make tools` puts it")
    ] = ""
    api_version: Annotated[
        str, Meta(description="Azure OpenAI: api-version of the older URL form; empty takes the /openai/v1 form")
    ] = ""
    region: Annotated[str, Meta(description="Amazon Bedrock: AWS region")] = ""
    access_key: Annotated[
        str, Meta(description="Amazon Bedrock: AWS access key id; `api_key` is then its secret access key (secret)")
    ] = ""
    session_token: Annotated[str, Meta(description="Amazon Bedrock: token of temporary AWS credentials (secret)")] = ""


class Registry(Section, frozen=True):
    """Endpoints that `gatewright endpoints add` registered, and the master key of their keys."""

    file: Annotated[str, Meta(description="File of the endpoints; empty takes data_dir/endpoints.json")] = ""
    key_file: Annotated[str, Meta(description="File of the master keys, newest first; an absolute path")] = ""
    key_command: Annotated[
        tuple[str, ...], Meta(description="Program and arguments that print the master keys, newest first")
    ] = ()


class Budget(Section, frozen=True):
    """What an attempt, a task and a day of this instance may use; 0 is no limit."""

    phase_minutes: Annotated[int, Meta(ge=1, description="Wall clock of one phase")] = 30
    qa_rounds: Annotated[int, Meta(ge=1, le=20, description="QA rounds before a person is asked")] = 3
    turns: Annotated[int, Meta(ge=1, description="Model turns of one phase")] = 100
    attempt_tokens: Annotated[int, Meta(ge=0, description="Tokens of one attempt, in and out")] = 0
    attempt_calls: Annotated[int, Meta(ge=0, description="Model calls of one attempt")] = 0
    attempt_usd: Annotated[float, Meta(ge=0, description="Money of one attempt, in USD; prices have to be set")] = 0.0
    task_minutes: Annotated[int, Meta(ge=0, description="Wall clock of all attempts of a task together")] = 0
    task_tokens: Annotated[int, Meta(ge=0, description="Tokens of one task, in and out")] = 20_000_000
    task_calls: Annotated[int, Meta(ge=0, description="Model calls of one task")] = 0
    task_usd: Annotated[float, Meta(ge=0, description="Money of one task, in USD; prices have to be set")] = 0.0
    day_minutes: Annotated[int, Meta(ge=0, description="Wall clock of all attempts begun on one day (UTC)")] = 0
    day_tokens: Annotated[int, Meta(ge=0, description="Tokens of one day (UTC)")] = 0
    day_calls: Annotated[int, Meta(ge=0, description="Model calls of one day (UTC)")] = 0
    day_usd: Annotated[float, Meta(ge=0, description="Money of one day (UTC), in USD; prices have to be set")] = 0.0


class Sandbox(Section, frozen=True):
    """The jail of agents and checks."""

    mode: Annotated[Literal["bwrap", "none-i-accept-the-risk"], Meta(description="How agents are confined")] = "bwrap"
    user: Annotated[int, Meta(ge=1, description="First numeric user id that a root worker drops to")] = 64_000
    processes: Annotated[int, Meta(ge=64, description="Processes of one jail")] = 512
    file_mb: Annotated[int, Meta(ge=1, description="Largest file an agent may write")] = 2_048
    memory_mb: Annotated[int, Meta(ge=512, description="Memory (data segment) of one process in the jail")] = 4_096
    tmp_mb: Annotated[int, Meta(ge=16, description="Size of /tmp in the jail")] = 1_024
    binds: Annotated[tuple[str, ...], Meta(description="Host paths shown read-only in the jail")] = ()
    path: Annotated[tuple[str, ...], Meta(description="Folders searched for programs in the jail before its own")] = ()
    rootfs: Annotated[
        str, Meta(description="Folder of an unpacked root file system to show instead of this machine's /usr")
    ] = ""
    jail_memory_mb: Annotated[
        int, Meta(ge=0, description="Memory of one jail, all processes together, where cgroups can be had; 0: no limit")
    ] = 8_192
    cpus: Annotated[float, Meta(ge=0, description="CPUs of one jail, where cgroups can be had; 0: no limit")] = 0.0
    disk_mb: Annotated[int, Meta(ge=0, description="How much a run may add to its worktree; 0: no limit")] = 8_192
    network_allow: Annotated[
        tuple[str, ...],
        Meta(
            description='Hosts that agents and checks may reach, through a filtering proxy: "host", "*.suffix" or an '
            'address, each with ":port" or without (443 and 80)'
        ),
    ] = ()
    setup_allow: Annotated[
        tuple[str, ...],
        Meta(description="Hosts that the [setup] of a repository may reach before the agent starts, in the same form"),
    ] = ()


class Workspace(Section, frozen=True):
    """What the trees of tasks show beside what their commits hold; a repository has no say in it."""

    submodules: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~+-]+)*/?\Z")], ...],
        Meta(description="URLs that submodules may begin with, such as https://forge.example/group/; empty: none"),
    ] = ()
    lfs: Annotated[bool, Meta(description="Show the content of files that Git LFS keeps, from the same repository")] = (
        False
    )
    lfs_hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z")], ...],
        Meta(description='Object stores that the LFS server may name, "host" or "host:port", besides itself'),
    ] = ()
    lfs_mb: Annotated[int, Meta(ge=1, description="Largest file of Git LFS that is shown")] = 1_024
    lfs_total_mb: Annotated[int, Meta(ge=1, description="All files of Git LFS of one commit that are shown")] = 4_096


class Witness(Section, frozen=True):
    """Somebody outside who cosigns the heads of the instance log (c2sp.org/tlog-witness)."""

    url: Annotated[str, Meta(description="Where it is asked: `/add-checkpoint` is added")]
    vkey: Annotated[str, Meta(description="Its verifier key, as `gatewright audit witness` prints it")]


class Audit(Section, frozen=True):
    """Where evidence lies, who signs it, and who outside is asked to bear witness."""

    audit_ref: Annotated[Literal["ref", "branch"], Meta(description="refs/gatewright/audit/ID or a branch")] = "ref"
    data_class: Annotated[
        str, Meta(pattern="^[a-z0-9_-]{1,64}$", description="Data class of the tasks that are opened from now on")
    ] = "standard"
    retention: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        Meta(description="Data class -> days for which payloads are kept after a task's end; others stay for ever"),
    ] = field(default_factory=lambda: {"standard": 2190})
    legal_hold: Annotated[
        tuple[str, ...],
        Meta(description="Task ids and repository paths (* as in file names) of which nothing is deleted"),
    ] = ()
    log: Annotated[bool, Meta(description="Keep the instance log, which shows when a task is missing")] = True
    log_dir: Annotated[str, Meta(description="Folder of the instance log; empty takes data_dir/log")] = ""
    witnesses: Annotated[tuple[Witness, ...], Meta(description="Witnesses that cosign each head of the log")] = ()
    witness_timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds that one witness or the TSA may take")] = (
        5.0
    )
    tsa_url: Annotated[str, Meta(description="Time-stamping authority (RFC 3161) asked at each seal")] = ""
    tsa_ca: Annotated[
        str, Meta(description="PEM file of the roots that its answers are held to; empty: kept unverified")
    ] = ""
    sign_command: Annotated[
        tuple[str, ...],
        Meta(
            description="Program and arguments that sign in place of the key file: message on stdin, "
            "64 bytes or their base64 on stdout"
        ),
    ] = ()
    public_key: Annotated[str, Meta(description="Verifier key (name+id+base64) of what `sign_command` signs with")] = ""


class Worker(Section, frozen=True):
    """This machine's worker."""

    work_dir: Annotated[str, Meta(description="Mirrors and worktrees; empty takes data_dir/work")] = ""
    queue: Annotated[str, Meta(pattern="^[a-z0-9.-]+$", description="RQ queue to serve")] = "default"
    count: Annotated[int, Meta(ge=1, le=64, description="Workers that `up` starts")] = 1
    tools_dir: Annotated[
        str, Meta(description="Folder of agent runtimes, as `make tools` fills it; empty: the checkout's .tools")
    ] = ""
    commit_name: Annotated[str, Meta(pattern=r"^[^<>\r\n\0]{1,100}$", description="Name on the bot's commits")] = (
        "Gatewright"
    )
    commit_email: Annotated[
        str,
        Meta(
            pattern=r"^[^<>\s\0]{1,100}@[^<>\s\0]{1,100}$",
            description="Address on the bot's commits; a push rule may want one that the forge knows",
        ),
    ] = "gatewright@localhost"
    commit_key_file: Annotated[
        str, Meta(description="Private SSH key without a passphrase that signs the bot's commits; empty: unsigned")
    ] = ""


class Settings(Section, frozen=True):
    """Everything `gatewright.toml` may say."""

    server: Server = Server()
    redis: Redis = Redis()
    trigger: Trigger = Trigger()
    github: GitHub = GitHub()
    gitlab: GitLab = GitLab()
    projects: dict[str, Project] = {}
    teams: dict[str, Team] = {}
    network: Network = Network()
    profile: ProfileTable = ProfileTable()
    profiles: dict[str, NamedProfile] = {}
    providers: dict[str, ProviderTable] = {}
    endpoints: dict[str, ProviderTable] = {}
    registry: Registry = Registry()
    policy: Policy = Policy()
    budget: Budget = Budget()
    sandbox: Sandbox = Sandbox()
    workspace: Workspace = Workspace()
    audit: Audit = Audit()
    worker: Worker = Worker()
