"""How does a test run something as a user without rights, beside a server of another user that it may not signal?

We are that user by setpriv(1) with one capability (CAP_DAC_READ_SEARCH): so that Python and these tests can be read
wherever they lie, and nothing more is allowed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

OURSELVES, SOMEBODY = 65533, 65532

SERVER = """
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}";

int main(int count, char **argv)
{
    char request[65536];
    struct sockaddr_in here;
    int one = 1, listener;
    if (setgid(USER) || setuid(USER))
        return 9;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_port = htons(count > 1 ? atoi(argv[1]) : 0);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64)) {
        fprintf(stderr, "couldn't bind HTTP server socket: Address already in use\\n");
        return 1;
    }
    printf("up %d\\n", getpid());
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, 0, 0);
        if (read(connection, request, sizeof request) > 0)
            (void)!write(connection, answer, sizeof answer - 1);
        close(connection);
    }
}
"""
"""Answers everything with {}; `sudo -u somebody server PORT` in one program, when it is setuid root."""


def server_of_another(folder: Path) -> Path:
    """Make the server of SOMEBODY; skips the test where that is not possible."""
    compiler = shutil.which("cc")
    if os.name == "nt" or os.geteuid() != 0 or compiler is None or shutil.which("setpriv") is None:
        pytest.skip("needs root, setpriv and a C compiler, to make a setuid program")
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        pytest.skip(f"{folder} is mounted nosuid")
    program = folder / "others-server"
    source = f"#define USER {SOMEBODY}\n{SERVER}"
    subprocess.run([compiler, "-x", "c", "-o", program, "-"], input=source, text=True, check=True)
    program.chmod(0o4755)
    return program


def as_ourselves(*argv: str) -> list[str]:
    """Return the argv by which a command runs as a user without rights."""
    user = ["--reuid", str(OURSELVES), "--regid", str(OURSELVES), "--clear-groups"]
    return ["setpriv", *user, "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search", *argv]
