"""The board: what one desk's people see, server-rendered, live by server-sent events, behind one password.

`Board` is handed to `connectors.http_api.build_app`, which owns the table of who may open which page.
"""

from connectors.board.pages import Board
from connectors.board.sign_in import BoardOptions

__all__ = ["Board", "BoardOptions"]
