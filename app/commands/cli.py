"""All commands of `lectr` under one name."""

import click

from app.asgi import VERSION
from app.commands.books import backup, reprice, restore_backup
from app.commands.db import db
from app.commands.keys import keys, users
from app.commands.looking import detect, doctor, registry
from app.commands.recommend import recommend
from app.commands.serving import demo, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="lectr")
def lectr() -> None:
    """Lectr: the AI gateway a small team runs on one box and trusts with its money."""


for command in (serve, demo, keys, users, doctor, detect, registry, reprice, recommend, backup, restore_backup, db):
    lectr.add_command(command)
