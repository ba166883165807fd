"""Flask's application on the server that comes with Werkzeug."""

import logging
import sys

from flask_app import app

logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
