from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import split
from claracore.core.config.detaching import JUDGES, MENTIONED, detaching
from claracore.core.config.load import load
from claracore.core.config.prefixes import PREFIXES
from claracore.core.config.shell import habits_in


@pytest.mark.parametrize(
    ("cmd", "by", "way_out"),
    [
        ("docker run -d -p ${PORT}:80 img", "docker run --detach", "remove -d"),
        ("docker run --rm -itd img", "docker run --detach", "remove -d"),
        ("docker run -dp ${PORT}:80 img", "docker run --detach", "remove -d"),
        ("docker run --name x --gpus all --detach img", "docker run --detach", "remove -d"),
        ("docker run --rm --detach=true img", "docker run --detach", "remove -d"),
        ("docker --context far container run -d img", "docker run --detach", "remove -d"),
        ("/usr/bin/sudo -n /usr/bin/podman run -d img", "podman run --detach", "remove -d"),
        ("podman --remote run --replace -d img", "podman run --detach", "remove -d"),
        ("nerdctl exec -d x server", "nerdctl exec --detach", "remove -d"),
        ("docker start x", "docker start", "docker start --attach"),
        ("docker compose -f a.yml up -d x", "docker compose up --detach", "remove -d"),
        ("docker compose up x --detach", "docker compose up --detach", "remove -d"),
        ("docker-compose up -d", "docker-compose up --detach", "remove -d"),
        ("docker compose --verbose run -d x", "docker compose run --detach", "remove -d"),
        ("docker compose up --wait", "docker compose up --wait", "remove --wait"),
        ("docker compose start x", "docker compose start", "up SERVICE"),
        ("sh -c 'docker run -d img'", "docker run --detach", "remove -d"),
        ("docker run -d img sh -c 'cd /x && exec server'", "docker run --detach", "remove -d"),
        ("sh -c 'nohup server --port ${PORT} > log 2>&1 &'", "&", "remove it"),
        ("env A=1 bash -c 'server & disown'", "&", "remove it"),
        ("sh -c 'cd /x && docker start x'", "docker start", "--attach"),
        ("setsid server", "setsid", "setsid --wait"),
        ("setsid -f server", "setsid", "setsid --wait"),
        ("nice -n 5 setsid --fork server", "setsid", "setsid --wait"),
        ("setsid --wait docker run -d img", "docker run --detach", "remove -d"),
        ("daemonize -p /run/x /usr/bin/server", "daemonize", "remove daemonize"),
        ("daemon -n x server", "daemon", "remove daemon"),
        ("systemd-run --user -u x server", "systemd-run", "--scope"),
        ("screen -dmS x server", "screen -dm", "claracore logs"),
        ("screen -d -m server", "screen -dm", "claracore logs"),
        ("tmux new -d -s x server", "tmux new -d", "claracore logs"),
        ("tmux -L sock new-session -ds x server", "tmux new-session -d", "claracore logs"),
        ("start-stop-daemon -S -b -x /usr/bin/server -- -d", "start-stop-daemon --background", "remove"),
        ("start-stop-daemon -Sbx /usr/bin/server", "start-stop-daemon --background", "remove"),
        ("sudo systemctl start ollama", "systemctl ... start", "proxy"),
        ("systemctl --user restart x", "systemctl ... restart", "proxy"),
        ("service x start", "service ... start", "proxy"),
        ("brew services start ollama", "brew ... start", "proxy"),
        ("pm2 start server.js", "pm2 ... start", "proxy"),
        ("lms server start --port 1234", "lms ... start", "proxy"),
        ("gunicorn --daemon app:app", "gunicorn --daemon", "remove"),
    ],
)
def test_what_leaves_its_server_behind_is_recognised(cmd: str, by: str, way_out: str) -> None:
    found = detaching(split(cmd))
    assert found is not None
    assert found.by == by
    assert way_out in found.way_out
    assert MENTIONED.search(cmd)


@pytest.mark.parametrize(
    "cmd",
    [
        "",
        "llama-server --port ${PORT} -d",
        "docker run --rm -p ${PORT}:80 img",
        "docker run --rm img server -d --detach",
        "docker run -it -v /d:/d -e d=d --name d img",
        "docker run --name -d img",
        "docker run -vd:/d img",
        "docker run --detach=false img",
        "docker run --read-only img server --detach",
        "docker start -a x",
        "docker start -ai x",
        "docker logs -f x",
        "docker compose up x",
        "docker compose run x server -d",
        "sh -c 'docker run -d img; exec docker logs -f x'",
        "sh -c 'server & wait'",
        "sh -c 'a && server'",
        "sh -c 'server 2>&1'",
        'sh -c "it\'s not closed"',
        "nohup server",
        "setsid -w server",
        "setsid --wait server",
        "daemon --foreground server",
        "systemd-run --user --scope server",
        "systemd-run --wait --pipe server",
        "systemd-run -t server",
        "screen -Dm server",
        "screen -S d -L -Logfile m server",
        "tmux new -s d server",
        "start-stop-daemon -S -x /usr/bin/server -- -b",
        "systemctl status x",
        "pm2 start --no-daemon server.js",
        "sudo -u me server --log /var/log/daemon",
        "env A=1 server docker run -d",
        "server setsid",
        "gunicorn app:app",
    ],
)
def test_what_stays_is_left_alone(cmd: str) -> None:
    assert detaching(split(cmd)) is None


WORDS = st.lists(
    st.sampled_from(
        [*JUDGES, *PREFIXES, "sh", "-c", "-", "--", "-d", "--x", "A=b", "1", "", "start", "&", "'", "run -d x"]
    )
)


@given(WORDS)
def test_no_command_is_too_odd(words: list[str]) -> None:
    found = detaching(words)
    assert found is None or (found.by and found.way_out)
    assert all(habit.way_out for habit in habits_in(shlex.join(words)))


def test_it_is_a_warning_with_the_place_of_the_command() -> None:
    loaded = load("models:\n  m:\n    cmd: docker run -d -p ${PORT}:80 img\n", env={})
    assert loaded.config is not None
    [finding] = loaded.findings
    assert (finding.severity, finding.path, finding.way_out) == ("warning", "models.m.cmd", "remove -d (--detach)")
    assert finding.place is not None
    assert finding.place.line == 3
