"""How does a test get a real nginx in front of a server, with what nginx does when nobody tells it otherwise?"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
CONFIGURATION = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[int]:
    """Run nginx with these `location` blocks; give its port.

    It inherits an open listener (as at an upgrade of nginx), so there is nothing to wait for.
    """
    assert NGINX is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        text = CONFIGURATION.format(folder=folder, port=port, location=location)
        (folder / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            [NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
            pass_fds=(listener.fileno(),),
            env={"NGINX": f"{listener.fileno()};"},
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait()
