"""The page cache of a machine whose power fails: what was written but not synced may be missing afterwards.

The model is a POSIX file system with ordered metadata:

- Data that was written to a file since its last `fsync` or `fdatasync` may be missing: all of it (the file is as before), all from some byte on, or from
  some byte on there are zeros. Data of one file doesn't depend on that of another.
- Names in a folder (a file, folder or link that was made, renamed, replaced or removed) are on disk after an `fsync` of the folder. Since then they may be
  missing, in the opposite order of that in which they changed: no change is lost without all later ones in the same folder.
  What was lost with a folder's name is everything in it. A rename between two folders is on disk when one of them was synced.
- `sync` and `syncfs` bring everything to disk. Modes, times, and what other programs wrote (git, workers) are always on disk.

At most `LOSSES_MAX` files and folders lose something at once.
"""
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from table import MAKES_A_FILE, O_CREAT, O_TMPFILE, O_TRUNC, OPENS, WRITES

LOSSES_MAX = 3
DEPTH_MAX = 3
# Parts of paths of what lives as long as a process; the locks only name their holder.
SHORT_LIVED = ("scratch", "snapshot", "trial", "trial-2", "branch", "trash", "writers", "mesh.lock", "mesh.join", ".out.csv.mesh-lock")


@dataclass
class Renamed:
    """A change of names that is not on disk: what is at `new` was at `old` (None: it was made), and what had the name `new` is kept in `saved`; None: nothing
    had it. A removal has no `new`."""

    old: str | None
    new: str | None
    saved: Path | None = None

    def folders(self):
        return {os.path.dirname(path) for path in (self.old, self.new) if path}


class Cache:
    """What is not on disk. `written`: the content that is, of each file (device and inode) with other content. `renamed`: changes of names, in their
    order. The supervised program stands still while this notes a call."""

    def __init__(self, root):
        self.root = root
        self.kept = root / "saved"
        self.kept.mkdir()
        self.written = {}
        self.renamed = []
        self.count = 0

    def note(self, call):
        """Before the call takes place."""
        if not call.path.startswith(str(self.root)):
            return
        if call.name in ("fsync", "fdatasync"):
            self.synced(call)
        elif call.name in ("sync", "syncfs"):
            self.written, self.renamed = {}, []
        elif call.name in WRITES | {"ftruncate", "truncate", "fallocate"}:
            self.write(call.path)
        elif call.name in OPENS | {"creat"}:
            self.open(call)
        else:
            self.rename(call)

    def synced(self, call):
        if call.target == "folder":
            self.renamed = [change for change in self.renamed if call.path not in change.folders()]
        else:
            self.written.pop(inode(call.path), None)

    def write(self, path):
        key = inode(path)
        if key and key not in self.written:
            self.written[key] = Path(path).read_bytes()

    def open(self, call):
        exists = os.path.lexists(call.path)
        if call.flags & O_TMPFILE == O_TMPFILE:
            return
        if not exists and (call.name == "creat" or call.flags & O_CREAT):
            self.renamed.append(Renamed(None, call.path))
        elif exists and (call.name == "creat" or call.flags & O_TRUNC) and os.path.getsize(call.path):
            self.write(call.path)

    def rename(self, call):
        path = call.path
        if call.name.startswith("rename"):
            if os.path.lexists(call.paths[0]):
                self.renamed.append(Renamed(call.paths[0], path, self.save(path)))
        elif call.name.startswith(("link", "symlink", "mkdir")):
            if not os.path.lexists(path):
                self.renamed.append(Renamed(None, path))
        elif call.name.startswith(("unlink", "rmdir")):
            if os.path.lexists(path):
                self.renamed.append(Renamed(path, None, self.save(path)))

    def save(self, path):
        """Another name for what is at `path`, which survives its removal; for a folder, an empty one."""
        if not os.path.lexists(path):
            return None
        self.count += 1
        saved = self.kept / str(self.count)
        if os.path.isdir(path) and not os.path.islink(path):
            saved.mkdir()
            shutil.copymode(path, saved)
        else:
            os.link(path, saved, follow_symlinks=False)
        return saved

    def lose(self, seed):
        """Loses what the seed chooses; what it was, in words."""
        chance = random.Random(seed)
        folders = sorted({folder for change in self.renamed for folder in change.folders()})
        candidates = [("data", key) for key in sorted(self.written) if self.find(key)] + [("names", folder) for folder in folders]
        # What nothing is read from after a kill is lost only if there is nothing else.
        candidates = [one for one in candidates if not self.is_short_lived(one)] or candidates
        chosen = chance.sample(candidates, min(len(candidates), chance.randint(1, LOSSES_MAX)))
        lost = []
        for kind, what in sorted(chosen, key=str):
            lost += self.lose_data(what, chance) if kind == "data" else self.lose_names(what, chance)
        self.written, self.renamed = {}, []
        return lost

    def is_short_lived(self, candidate):
        kind, what = candidate
        path = str(self.find(what)) if kind == "data" else what
        return any(f"/{name}/" in f"{path}/" for name in SHORT_LIVED)

    def lose_data(self, key, chance):
        path, before = self.find(key), self.written[key]
        content = path.read_bytes()
        first = len(os.path.commonprefix([content, before]))
        place = chance.randint(first, len(content))
        how = chance.choice(["nothing on disk", "cut", "zeros"])
        if how == "nothing on disk":
            content = before
        elif how == "cut":
            content = content[:place]
        else:
            content = content[:place] + bytes(len(content) - place)
        with open(path, "r+b") as opened:
            opened.truncate(0)
            opened.write(content)
        return [f"{how} from byte {place} of {path.relative_to(self.root)}"]

    def find(self, key):
        """The path of a file by now; None if it has no name."""
        for folder, folders, files in os.walk(self.root):
            if self.kept.name in folders:
                folders.remove(self.kept.name)
            for name in files:
                if inode(os.path.join(folder, name)) == key:
                    return Path(folder, name)
        return None

    def lose_names(self, folder, chance):
        mine = [change for change in self.renamed if folder in change.folders()]
        lost = []
        # Those between two folders may have been lost with the other one.
        depth = min(len(mine), chance.randint(1, DEPTH_MAX))
        for change in reversed(mine[len(mine) - depth :]):
            undo(change)
            self.renamed.remove(change)
            lost.append(f"names {change.old or ''} -> {change.new or ''}".replace(str(self.root), ""))
        return lost


def undo(change):
    """Gives names back as they were."""
    if change.new and os.path.lexists(change.new):
        if change.old:
            os.makedirs(os.path.dirname(change.old), exist_ok=True)
            os.rename(change.new, change.old)
        elif os.path.isdir(change.new) and not os.path.islink(change.new):
            shutil.rmtree(change.new)
        else:
            os.unlink(change.new)
    if change.saved:
        name = change.new or change.old
        if os.path.isdir(os.path.dirname(name)) and not os.path.lexists(name):
            os.rename(change.saved, name)


def inode(path):
    try:
        found = os.stat(path)
        return (found.st_dev, found.st_ino)
    except OSError:
        return None
