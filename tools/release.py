"""How does a checkout become a release?

    python tools/release.py make 0.2.0 [--dry-run]     # `make release VERSION=0.2.0`
    python tools/release.py check 0.2.0                # a service that builds the tag asks first
    python tools/release.py notes 0.2.0                # the changelog's section, for the page of the release

Nothing happens to the checkout until everything has worked: the changelog is written, committed and tagged in a clone
beside it, what is released is built and tried there (tools/dist.py), then the checkout takes over commit and tag. What
was built stays in dist/X.Y.Z. Nothing is sent anywhere: pushing the tag is a person's decision.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import changelog
from changelog import Refused

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Do what is asked; return 0, or 1 after saying why it is refused."""
    parser = argparse.ArgumentParser(description="Make a release, or look at one.")
    parser.add_argument("what", choices=["make", "check", "notes"])
    parser.add_argument("version", help="X.Y.Z or X.Y.ZrcN; with its v, as in a tag, it is understood, too")
    parser.add_argument("--dry-run", action="store_true", help="make: build and try everything, change nothing")
    chosen = parser.parse_args()
    version = chosen.version.removeprefix("v")
    try:
        match chosen.what:
            case "make":
                make(ROOT, version, dry_run=chosen.dry_run)
            case "check":
                check(ROOT, version)
            case _:
                print(changelog.notes(text_of(ROOT), version), end="")
    except Refused as refused:
        print(f"no release: {refused}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(
            f"no release: `{' '.join(failed.cmd)}` ended with {failed.returncode}; nothing is changed", file=sys.stderr
        )
        return 1
    return 0


def make(root: Path, version: str, *, dry_run: bool) -> None:
    """Commit, tag, build and try a release in a clone; take over commit and tag unless it is a dry run."""
    prepared = prepare(root, version)
    folder = root / "dist" / version
    if folder.exists():
        raise Refused(f"{folder} is there already: an earlier attempt; remove it")
    with tempfile.TemporaryDirectory(prefix="claracore-release-") as place:
        clone = Path(place) / "claracore"
        tag_in_clone(root, clone, prepared, version)
        check(clone, version)
        subprocess.run([sys.executable, "tools/dist.py", str(folder)], cwd=clone, check=True)
        if dry_run:
            print(f"dry run: {folder} is what v{version} would be; neither committed nor tagged")
            return
        git(root, "pull", "--quiet", "--ff-only", "--no-tags", str(clone), "HEAD")
        git(root, "fetch", "--quiet", str(clone), f"refs/tags/v{version}:refs/tags/v{version}")
    print(f"v{version} is committed and tagged; its files are in {folder}. To publish: git push origin HEAD v{version}")


def prepare(root: Path, version: str) -> str:
    """Return the changelog as the release has it; raise Refused when the checkout is not ready."""
    changed = git(root, "status", "--porcelain")
    if changed:
        raise Refused(f"the checkout has changes that are not committed: commit or stash them\n{changed}")
    changelog.check_version(version, git(root, "tag", "--list").split())
    text = changelog.released(text_of(root), version, datetime.now(UTC).date())
    changelog.check_links(changelog.notes(text, version), root)
    return text


def tag_in_clone(root: Path, clone: Path, text: str, version: str) -> None:
    """Clone `root` to `clone`, with a commit on top that has this changelog and the tag of the version."""
    git(root, "clone", "--quiet", str(root), str(clone))
    for key in ("user.name", "user.email"):
        git(clone, "config", key, git(root, "config", key))
    (clone / "CHANGELOG.md").write_text(text, encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", f"release: {version}")
    git(clone, "tag", "--annotate", f"v{version}", "--message", f"ClaraCore {version}")


def check(root: Path, version: str) -> None:
    """Raise Refused unless the checkout is unchanged, has the version's tag, and its changelog has its section."""
    tags = git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        raise Refused(f"the checkout is not v{version}: its commit has {', '.join(tags) or 'no tag'}")
    changed = git(root, "status", "--porcelain")
    if changed:
        raise Refused(f"the checkout is v{version} with changes:\n{changed}")
    changelog.check_links(changelog.notes(text_of(root), version), root)


def text_of(root: Path) -> str:
    """Return the changelog."""
    return (root / "CHANGELOG.md").read_text(encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints, without the last newline; raise CalledProcessError if it fails."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
