"""Serves the built web interface. Its source is `ui/`; `tools/build_ui.py` builds it into `web/static`."""
