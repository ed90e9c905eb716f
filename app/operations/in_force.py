"""Which prices are in force: the registry's, an imported newer list, and the team's own on top."""

import logging

from app.catalog.catalog import Catalog
from app.errors import RegistryError
from app.ledger.team import TeamStore

_log = logging.getLogger("lectr")


def catalog_in_force(registry: Catalog, team: TeamStore, otherwise: Catalog) -> Catalog:
    """The registry with what the team has put on it; `otherwise` where that cannot be used. Never raises.

    What was in force stays in force: no override and no imported list may stop traffic.
    """
    newest = registry
    try:
        if team.price_list is not None:
            newest = registry.with_price_list(team.price_list)
    except RegistryError as error:
        _log.warning("the imported price list is not used: %s", error)
    try:
        return newest.with_overrides(team.overrides)
    except RegistryError as error:
        _log.error("the team's prices are not in force: %s", error)
        return otherwise
