"""`logad serve` and `logad key`: the API, and who may ask it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from logad_pipeline.cli.console import QuickGroup, plain_errors, say
from logad_pipeline.cli.lake import Json, LakeOption
from logad_pipeline.reporting.text import visible

keys = typer.Typer(cls=QuickGroup, help="Make, list and revoke the keys of the API.", no_args_is_help=True)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond loopback keys are needed.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
    model: Annotated[str, typer.Option(help="Model folder or models:/NAME@ALIAS instead of the champion.")] = "",
    server: Annotated[str, typer.Option(help="auto, gunicorn or waitress.")] = "auto",
    lake: LakeOption = None,
) -> None:
    """Answer requests with the champion: POST /score_log and others, and the triage pages at /."""
    with plain_errors():
        from logad_pipeline.serving.keys import key_file
        from logad_pipeline.serving.listening import at, listen
        from logad_pipeline.serving.server import choose_server, run
        from logad_pipeline.settings import load_settings

        settings = load_settings(lake)
        given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
        serving = settings.serving.model_copy(update=given)
        settings = settings.model_copy(update={"serving": serving})
        chosen = choose_server(server)
        if model and not model.startswith("models:/"):
            from logad_pipeline.detectors.ensemble import read_model_json

            model = str(Path(model).expanduser().absolute())
            read_model_json(Path(model))
        listener = listen(serving.host, serving.port)
        if serving.needs_keys() and not key_file(settings.lake).all():
            say("keys are needed here and there is none yet: `logad key create NAME --scope score` makes one for the "
                "API, `--scope read --scope feedback` one for the pages")  # fmt: skip
        guarded = "keys needed" if serving.needs_keys() else "no keys needed"
        say(f"http://{at(serving.host, serving.port)} ({chosen}, {guarded}); stop with Ctrl-C")
        run(settings, model, chosen, listener)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who it is for.")],
    scope: Annotated[list[str], typer.Option(help="score, feedback or read; may be given again.")],
    rate: Annotated[int | None, typer.Option(help="Requests a minute; by default as in the settings.")] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires; by default it does not.")] = None,
    lake: LakeOption = None,
) -> None:
    """Make a key and print it, this once: what is kept is a hash."""
    with plain_errors():
        from logad_pipeline.serving.keys import key_file
        from logad_pipeline.settings import load_settings

        print(key_file(load_settings(lake).lake).create(name, scope, rate, days))


@keys.command("list")
def list_keys(as_json: Json = False, lake: LakeOption = None) -> None:
    """List the keys, without what is secret in them."""
    with plain_errors():
        from logad_pipeline.serving.keys import key_file
        from logad_pipeline.settings import load_settings

        found = key_file(load_settings(lake).lake)
        if not found.all() and not as_json:
            say(f"no keys in {found.file}; `logad key create NAME --scope read` makes one")
        for key in found.all():
            if as_json:
                print(json.dumps({name: value for name, value in vars(key).items() if name != "hash"}))
                continue
            rate = f"{key.requests_per_minute}/min" if key.requests_per_minute else ""
            until = f"until {key.expires}" if key.expires else ""
            shown = f"{key.id}  {visible(key.name):<20} {','.join(key.scopes):<20} {key.created} {until} {rate}"
            print(shown.rstrip())


@keys.command()
def revoke(name: Annotated[str, typer.Argument(help="Name or id.")], lake: LakeOption = None) -> None:
    """Take a key away; it is refused at once."""
    with plain_errors():
        from logad_pipeline.serving.keys import key_file
        from logad_pipeline.settings import load_settings

        gone = key_file(load_settings(lake).lake).revoke(name)
        say(f"revoked {gone.id} {visible(gone.name)}")
