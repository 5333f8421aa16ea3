"""Serve the application on port 8080, or on $PORT."""

import os

from werkzeug.serving import run_simple

from web import application

run_simple("0.0.0.0", int(os.environ.get("PORT", "8080")), application(), threaded=True)
