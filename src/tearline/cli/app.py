"""The commands of ``tearline``, each with what ``--help`` says of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tearline import __version__
from tearline.cli.screen import CommandError, errors

RUNNING, KEEPING = "Running it", "Looking after it"

app = typer.Typer(
    name="tearline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Coupons, vouchers and offers of many merchants, on your own server.\n\n"
    "Begin with [bold]tearline demo[/]: it needs nothing, and shows everything at http://127.0.0.1:8000.",
    epilog="Settings are environment variables named TEARLINE_…; docs/settings.md lists them all.",
)
staff_app = typer.Typer(
    no_args_is_help=True, help="Accounts of those who work for the operator or a merchant."
)
key_app = typer.Typer(no_args_is_help=True, help="Keys for tills, shops and other programs that use the API.")
app.add_typer(staff_app, name="staff", rich_help_panel=KEEPING)
codes_app = typer.Typer(no_args_is_help=True, help="Lists of codes that partners bring for their offers.")
app.add_typer(key_app, name="key", rich_help_panel=KEEPING)
app.add_typer(codes_app, name="codes", rich_help_panel=KEEPING)
catalogue_app = typer.Typer(no_args_is_help=True, help="What shops sell: products, categories and brands.")
app.add_typer(catalogue_app, name="catalogue", rich_help_panel=KEEPING)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"tearline {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Hold the options that come before a command."""


@app.command(
    rich_help_panel=RUNNING,
    epilog="Example: [bold]tearline demo --port 8100[/]",
)
def demo(
    port: Annotated[
        int | None, typer.Option(help="Port to serve at.", min=1, max=65535, show_default="8000")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Delete the demo's data first, and start over.")
    ] = False,
) -> None:
    """Show everything: database, sample data, web server and worker in one go.

    Starts an embedded PostgreSQL in ./.tearline, fills it at the first start
    with merchants, offers, members and campaigns of an imaginary Hong Kong, and
    prints where to go and how to sign in.

    Ctrl-C stops everything. The data stay for the next start.
    """
    from tearline.cli.demonstration import run_demo

    run_demo(port=port, is_reset=reset)


@app.command(
    rich_help_panel=RUNNING,
    epilog="Example: [bold]tearline serve --host 0.0.0.0 --processes 2[/]",
)
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Without it: TEARLINE_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on. Without it: TEARLINE_PORT, else 8000.", min=1, max=65535),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Web processes, about one for each core. Without it: TEARLINE_PROCESSES, else 1.",
            min=1,
            max=64,
        ),
    ] = None,
) -> None:
    """Serve the pages and the API; run a [bold]worker[/] beside it.

    A web process that dies is started again. SIGTERM and Ctrl-C let requests
    under way finish.
    """
    from tearline.cli.serving import run_server

    run_server(host=host, port=port, processes=processes)


@app.command(
    rich_help_panel=RUNNING,
    epilog="Example: [bold]tearline gate --host 0.0.0.0 --port 8010[/]",
)
def gate(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Without it: TEARLINE_HOST, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on. Without it: TEARLINE_PORT, else 8000.", min=1, max=65535),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Gate processes, about one for each core. Without it: TEARLINE_PROCESSES, else 1.",
            min=1,
            max=64,
        ),
    ] = None,
) -> None:
    """Serve the waiting rooms alone, apart from what they guard.

    [bold]serve[/] answers for them, too; a gate of its own keeps a crowd that
    waits away from those who are inside. Send it every path below /gate/
    and /static/.
    """
    from tearline.cli.serving import run_server

    run_server(host=host, port=port, processes=processes, is_gate=True)


@app.command(rich_help_panel=RUNNING, epilog="Example: [bold]tearline worker[/]")
def worker() -> None:
    """Send messages and do scheduled work; run at least one beside [bold]serve[/]."""
    from tearline.cli.serving import run_worker

    run_worker()


@app.command(
    rich_help_panel=KEEPING, epilog="Example: [bold]TEARLINE_DATABASE_URL=postgresql://… tearline migrate[/]"
)
def migrate() -> None:
    """Bring the database to this version's schema; safe to repeat.

    Run it once after each upgrade, before [bold]serve[/]. All steps are
    committed together, or none.
    """
    from tearline.cli.upkeep import run_migrations

    run_migrations()


@app.command(
    rich_help_panel=KEEPING,
    epilog="Example: [bold]tearline audit || mail -s 'Tearline: books do not balance' you@example.org[/]",
)
def audit() -> None:
    """Check that nothing was given out twice and nothing lost; exit status 1 on a breach.

    Works on a live database, without stopping anybody.
    """
    from tearline.cli.upkeep import run_checks

    if not asyncio.run(run_checks()):
        raise typer.Exit(1)


@app.command(
    rich_help_panel=KEEPING,
    epilog="Examples:\n\n"
    "[bold]tearline rehearse --people 2000 --stock 50000[/]\n\n"
    "[bold]tearline rehearse --quick[/]",
)
def rehearse(
    people: Annotated[
        int,
        typer.Option(help="Simulated visitors at a time: those in line and those inside.", min=2, max=20_000),
    ] = 1_000,
    stock: Annotated[
        int,
        typer.Option(
            help="Prizes there will be on the day, to reckon how long they last.", min=1, max=100_000_000
        ),
    ] = 10_000,
    shape: Annotated[
        Literal["burst", "ramp", "steady"],
        typer.Option(
            help="How people arrive: all before the start (burst), ever more (ramp), or evenly (steady)."
        ),
    ] = "burst",
    session_seconds: Annotated[
        int, typer.Option(help="Seconds that somebody may be inside.", min=30, max=86_400)
    ] = 1800,
    think_seconds: Annotated[
        float,
        typer.Option(
            help="Seconds between looking at a page and acting on it, on average.", min=0.1, max=600
        ),
    ] = 8.0,
    no_shows: Annotated[
        float, typer.Option(help="Percent of those with a ticket who never come when called.", min=0, max=90)
    ] = 10.0,
    leavers: Annotated[
        float, typer.Option(help="Percent of those inside who leave without a claim.", min=0, max=100)
    ] = 10.0,
    reloads: Annotated[float, typer.Option(help="Percent who load a page twice.", min=0, max=100)] = 10.0,
    p95_ms: Annotated[
        float,
        typer.Option(
            help="Objective: 95 of 100 requests inside are answered within so many ms.", min=1, max=60_000
        ),
    ] = 500.0,
    error_percent: Annotated[
        float,
        typer.Option(help="Objective: fewer than so many percent of requests inside fail.", min=0, max=100),
    ] = 0.1,
    step_seconds: Annotated[
        float, typer.Option(help="Seconds that each step is measured, after it has settled.", min=1, max=3600)
    ] = 20.0,
    max_steps: Annotated[
        int, typer.Option(help="Settings of the dial to try at the most.", min=1, max=50)
    ] = 8,
    processes: Annotated[
        int | None,
        typer.Option(help="Web processes. Without it: TEARLINE_PROCESSES, else 1.", min=1, max=64),
    ] = None,
    report: Annotated[Path, typer.Option(help="File that the report is written to.")] = Path(
        "rehearsal.html"
    ),
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A tiny one of seconds: shows that it works, measures nothing that counts."
        ),
    ] = False,
) -> None:
    """Rehearse a rush, and be told where to set the waiting room's dial.

    How many people may be inside a waiting room at once ([bold]max_active[/])
    depends on your machine. This finds out: simulated visitors gather, wait,
    enter, claim and leave, with more and more of them inside, until answers
    become slow or wrong. It ends with one sentence, such as "Set max_active to
    400; expect the stock to last 12 minutes", and a report with plots.

    It uses this installation's PostgreSQL and its own web processes, in a
    database of its own that is dropped at the end. Nothing is sent, and
    nobody's data are touched; but the machine is busy, so rehearse at a quiet
    hour. Exit status 1 when no setting kept the objectives.

    Needs the extra [bold]rehearsal[/] (Locust).
    """
    from tearline.cli.rehearsal.needs import require_locust

    require_locust()
    from tearline.cli.database import settings_for_desk_work
    from tearline.cli.rehearsal.plan import Plan
    from tearline.cli.rehearsal.run import run_rehearsal

    plan = Plan(
        people=people,
        stock=stock,
        session_seconds=session_seconds,
        shape=shape,
        step_seconds=step_seconds,
        maximum_steps=max_steps,
        no_show_share=no_shows / 100,
        leaver_share=leavers / 100,
        reload_share=reloads / 100,
        think_seconds=think_seconds,
        p95_milliseconds=p95_ms,
        error_share=error_percent / 100,
        processes=processes or settings_for_desk_work().processes,
    )
    if not run_rehearsal(plan.quick() if quick else plan, report):
        raise typer.Exit(1)


@staff_app.command(
    "create",
    epilog="Examples:\n\n"
    "[bold]tearline staff create --email you@example.org --name 'Mei Chan' --role owner[/]\n\n"
    "[bold]tearline staff create --email till@example.org --name 'Till 3' --role cashier "
    "--merchant kams-roast --generate-password[/]",
)
def create_staff(
    email: Annotated[str, typer.Option(help="Address that the person signs in with.")],
    name: Annotated[str, typer.Option(help="The person's name, as others see it.")],
    role: Annotated[
        str,
        typer.Option(
            help="Of the operator: owner, editor, finance, auditor. Of a merchant: manager, cashier."
        ),
    ],
    merchant: Annotated[
        str | None, typer.Option(help="Code of the merchant; left out for the operator's.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Code of the one store a cashier works at.")] = None,
    language: Annotated[str, typer.Option(help="Language of the pages: en, zh-Hant, zh-Hans or th.")] = "en",
    generate_password: Annotated[
        bool, typer.Option("--generate-password", help="Make a password and print it.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(help="File whose first line is the password; - for standard input."),
    ] = None,
) -> None:
    """Make an account, such as the first owner's.

    The password is asked for, unless it is generated or read from a file; it
    never stands on the command line, where others could see it.
    """
    from tearline.cli.upkeep import generated_password, make_staff

    if generate_password:
        password = generated_password()
    elif password_file is not None:
        password = _first_line(password_file)
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    asyncio.run(
        make_staff(
            email=email,
            name=name,
            role=role,
            merchant=merchant,
            store=store,
            language=language,
            password=password,
        )
    )
    errors.print(f"{email} can sign in at {'/merchant' if merchant else '/console'} now.", highlight=False)
    if generate_password:
        typer.echo(password)


@key_app.command(
    "create",
    epilog="Examples:\n\n"
    "[bold]tearline key create --name 'Web shop' --scope offers.read --scope campaigns.read[/]\n\n"
    "[bold]tearline key create --name 'Till 3' --merchant kams-roast --scope redeem --scope reverse[/]",
)
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for, as lists show it.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What the key may do; repeat it for several. A wrong one lists all."),
    ],
    merchant: Annotated[
        str | None, typer.Option(help="Code of the merchant whose key it is; left out for the operator's.")
    ] = None,
) -> None:
    """Make a key and print it; this is the only time that it can be read."""
    from tearline.cli.upkeep import make_key
    from tearline.core.roles import KEY_SCOPES

    possible = KEY_SCOPES["merchant" if merchant else "operator"]
    if unknown := [one for one in scope if one not in possible]:
        raise CommandError(
            f"{unknown[0]!r} is no scope of {'a merchant' if merchant else 'the operator'}'s key; there are: "
            f"{', '.join(sorted(possible))}."
        )
    key = asyncio.run(make_key(name=name, scopes=scope, merchant=merchant))
    errors.print("Keep it now; it cannot be shown again:", highlight=False)
    typer.echo(key)


@codes_app.command(
    "import",
    epilog="Examples:\n\n"
    "[bold]tearline codes import LOTUS-SET-DINNER codes.csv[/]\n\n"
    "[bold]tearline codes import LOTUS-SET-DINNER codes.xlsx --column 'Voucher code' --yes "
    "--outcomes outcomes.csv[/]",
)
def import_codes(
    offer: Annotated[
        str, typer.Argument(help="The offer's code, or its pool's id.", metavar="POOL_OR_OFFER_CODE")
    ],
    file: Annotated[Path, typer.Argument(help="CSV, TXT or XLSX file with a code in each row.")],
    column: Annotated[
        str | None,
        typer.Option(help="Number (from 1) or heading of the column with the codes. Without it: found out."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="What a code looks like, such as [A-Z0-9]{20}. Without it: learned from the file."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the codes were understood.")] = False,
    create: Annotated[bool, typer.Option("--create", help="Give the offer a pool if it has none.")] = False,
    outcomes: Annotated[
        Path | None, typer.Option(help="CSV file to write what became of each row to.")
    ] = None,
) -> None:
    """Add a partner's codes to an offer's pool; millions at once.

    Shows what was understood of the file, and asks. Each row is then added, or
    it is a duplicate, in the partner's pools already, or invalid, such as a
    number of which a spreadsheet has dropped digits. The same file again adds
    nothing. An import that is broken off adds nothing either.
    """
    from tearline.cli.codes import run_import

    run_import(
        offer,
        file,
        column=column,
        pattern=pattern,
        is_confirmed=yes,
        creates_pool=create,
        outcomes=outcomes,
    )


@codes_app.command("template", epilog="Example: [bold]tearline codes template codes.xlsx[/]")
def codes_template(
    file: Annotated[Path, typer.Argument(help="File to write; CSV when its name ends so, else XLSX.")] = Path(
        "codes.xlsx"
    ),
) -> None:
    """Write a file to put codes into whose cells are text, so that no digit gets lost."""
    from tearline.cli.codes import write_template

    write_template(file)


@catalogue_app.command(
    "import",
    epilog="Examples:\n\n"
    "[bold]tearline catalogue import --kind categories categories.csv[/]\n\n"
    "[bold]tearline catalogue import --kind products products.xlsx[/]",
)
def import_catalogue(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX file whose first row names the columns.")],
    kind: Annotated[
        Literal["products", "categories", "brands"], typer.Option(help="What the file holds.")
    ] = "products",
) -> None:
    """Put a file of products, categories or brands into the catalogue.

    Everything in the file is put, or nothing: rows that are in the way are
    listed with what is wrong. What is there already is changed to what the file
    says, what is not in the file stays, and the same file again changes
    nothing. Categories and brands come before the products that name them.
    """
    from tearline.cli.catalogue import run_import

    run_import(kind, file)


@catalogue_app.command(
    "template", epilog="Example: [bold]tearline catalogue template --kind products products.csv[/]"
)
def catalogue_template(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    kind: Annotated[
        Literal["products", "categories", "brands"], typer.Option(help="What the file is to hold.")
    ] = "products",
) -> None:
    """Write a CSV file with the columns that are read, and an example."""
    from tearline.cli.catalogue import write_template

    write_template(kind, file)


def _first_line(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The password cannot be read from {path}: {error}.") from error
