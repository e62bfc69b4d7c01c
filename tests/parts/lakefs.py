"""A server that answers as lakeFS does, for tests alone: lakeFS itself cannot be had where they run.

The models of lakeFS's official SDK (lakefs-sdk) read what is sent and make what is answered, so requests and answers have the
form of version 1 of its API. What a branch is, how commits are listed and merged, and what is refused follows lakeFS's sources
(pkg/api/controller.go, pkg/graveler). Everything is in memory. Usage: lakefs.py PORT ACCESS_KEY_ID SECRET_ACCESS_KEY
"""

import base64
import fnmatch
import hashlib
import heapq
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from lakefs_sdk.models.branch_creation import BranchCreation
from lakefs_sdk.models.branch_protection_rule import BranchProtectionRule
from lakefs_sdk.models.commit import Commit
from lakefs_sdk.models.commit_creation import CommitCreation
from lakefs_sdk.models.commit_list import CommitList
from lakefs_sdk.models.diff import Diff
from lakefs_sdk.models.diff_list import DiffList
from lakefs_sdk.models.error import Error
from lakefs_sdk.models.merge import Merge
from lakefs_sdk.models.merge_result import MergeResult
from lakefs_sdk.models.object_stats import ObjectStats
from lakefs_sdk.models.pagination import Pagination
from lakefs_sdk.models.ref import Ref
from lakefs_sdk.models.repository import Repository
from lakefs_sdk.models.repository_creation import RepositoryCreation
from lakefs_sdk.models.revert_creation import RevertCreation
from lakefs_sdk.models.tag_creation import TagCreation

PAGE_MAX = 1000
PAGE = 100
GONE = object()  # what was deleted and not committed


class Refused(Exception):
    def __init__(self, status, answer):
        super().__init__(answer)
        self.status = status
        self.answer = Error(message=answer) if isinstance(answer, str) else answer


class Store:
    """One repository."""

    def __init__(self, wanted):
        self.commits, self.objects, self.tags, self.rules = {}, {}, {}, []
        self.dates = {}
        self.default = wanted.default_branch or "main"
        self.branches = {self.default: self.commit([], {}, "Repository created")}
        self.staged = {self.default: {}}
        self.about = Repository(
            id=wanted.name,
            creation_date=int(time.time()),
            default_branch=self.default,
            storage_namespace=wanted.storage_namespace,
        )

    def commit(self, parents, objects, message):
        now = max([time.time()] + [self.dates[parent] + 1e-6 for parent in parents])
        of = json.dumps([parents, sorted(objects.items()), message, now, len(self.commits)])
        name = hashlib.sha256(of.encode()).hexdigest()
        self.dates[name] = now
        self.objects[name] = dict(objects)
        self.commits[name] = Commit(
            id=name,
            parents=parents,
            committer="tests",
            message=message,
            creation_date=int(now),
            meta_range_id=hashlib.sha256(json.dumps(sorted(objects.items())).encode()).hexdigest(),
            metadata={},
            generation=1 + max([self.commits[parent].generation for parent in parents], default=0),
        )
        return name

    def head(self, ref):
        ref, _, back = ref.partition("~")
        found = self.branches.get(ref) or self.tags.get(ref) or (ref if ref in self.commits else None)
        for _ in range(int(back or 0)):
            found = (self.commits[found].parents or [None])[0] if found else None
        if not found:
            raise Refused(404, f"ref: {ref} not found")
        return found

    def branch(self, name):
        if name not in self.branches:
            raise Refused(404, "branch not found")
        return self.branches[name]

    def log(self, ref):
        """Newest first, as lakeFS's iterator goes: by the date of those that are next, not by who is whose parent."""
        start = self.head(ref)
        seen, queue = {start}, [(-self.dates[start], start)]
        while queue:
            name = heapq.heappop(queue)[1]
            yield self.commits[name]
            for parent in self.commits[name].parents:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(queue, (-self.dates[parent], parent))

    def base(self, one, other):
        common = {commit.id for commit in self.log(one)} & {commit.id for commit in self.log(other)}
        return max(common, key=lambda name: (self.commits[name].generation, self.dates[name]))

    def clean(self, branch):
        if self.staged[branch]:
            raise Refused(400, f"{branch}: uncommitted changes (dirty branch)")

    def protected(self, branch):
        return any(fnmatch.fnmatchcase(branch, rule.pattern) for rule in self.rules)

    def merged(self, base, into, source):
        """What `into` holds once what changed between `base` and `source` is applied to it."""
        out = dict(into)
        for path in base.keys() | source.keys():
            was, new, now = base.get(path), source.get(path), into.get(path)
            if was == new or now == new:
                continue
            if now != was:
                raise Refused(409, MergeResult(reference=""))
            if new is None:
                out.pop(path, None)
            else:
                out[path] = new
        if out == into:
            raise Refused(400, "no changes")
        return out


def differences(one, other):
    for path in sorted(one.keys() | other.keys()):
        if one.get(path) != other.get(path):
            kind = "added" if path not in one else "removed" if path not in other else "changed"
            size = len(other.get(path) or one.get(path) or "")
            yield Diff(type=kind, path=path, path_type="object", size_bytes=size)


def paged(items, query, name):
    """One page of a list, from what follows `after` on, and what lakeFS says of the rest."""
    amount = int(query.get("amount", [PAGE])[0])
    if not -1 <= amount <= PAGE_MAX:
        raise Refused(400, "amount is out of range")
    amount = PAGE if amount < 0 else min(amount, PAGE_MAX)
    after = query.get("after", [""])[0]
    items = list(items)
    if after:
        names = [getattr(item, name) for item in items]
        items = items[names.index(after) + 1 :] if after in names else []
    page, more = items[:amount], len(items) > amount
    offset = getattr(page[-1], name) if more and page else ""
    return page, Pagination(has_more=more, next_offset=offset, results=len(page), max_per_page=PAGE_MAX)


STORES, LOCK = {}, threading.Lock()


def answer(method, parts, query, body):
    """The status and what is answered: a model of the SDK, a list of them, or text."""
    if (method, parts) == ("POST", ["repositories"]):
        wanted = RepositoryCreation.from_json(body)
        if wanted.name in STORES:
            raise Refused(409, "repository already exists")
        STORES[wanted.name] = Store(wanted)
        return 201, STORES[wanted.name].about
    if len(parts) < 2 or parts[0] != "repositories":
        raise Refused(500, "invalid API endpoint")
    if parts[1] not in STORES:
        raise Refused(404, "repository not found")
    store = STORES[parts[1]]
    match method, *parts[2:]:
        case "GET", "branches", name:
            return 200, Ref(id=name, commit_id=store.branch(name))
        case "POST", "branches":
            wanted = BranchCreation.from_json(body)
            if wanted.name in store.branches:
                raise Refused(409, "branch already exists")
            store.branches[wanted.name], store.staged[wanted.name] = store.head(wanted.source), {}
            return 201, store.branches[wanted.name]
        case "DELETE", "branches", name:
            store.branch(name)
            del store.branches[name], store.staged[name]
            return 204, ""
        case "GET", "tags", name:
            if name not in store.tags:
                raise Refused(404, "tag not found")
            return 200, Ref(id=name, commit_id=store.tags[name])
        case "POST", "tags":
            wanted = TagCreation.from_json(body)
            if wanted.id in store.tags:
                raise Refused(409, "tag already exists")
            store.tags[wanted.id] = store.head(wanted.ref)
            return 201, Ref(id=wanted.id, commit_id=store.tags[wanted.id])
        case "GET", "refs", ref, "commits":
            page, pagination = paged(store.log(ref), query, "id")
            return 200, CommitList(pagination=pagination, results=page)
        case "GET", "refs", left, "diff", right:
            one, other = store.head(left), store.head(right)
            if query.get("type", ["three_dot"])[0] == "three_dot":
                one = store.base(one, other)
            page, pagination = paged(differences(store.objects[one], store.objects[other]), query, "path")
            return 200, DiffList(pagination=pagination, results=page)
        case "GET", "branches", name, "diff":
            before = store.objects[store.branch(name)]
            after = {path: what for path, what in {**before, **store.staged[name]}.items() if what is not GONE}
            page, pagination = paged(differences(before, after), query, "path")
            return 200, DiffList(pagination=pagination, results=page)
        case "POST", "branches", name, "objects":
            store.branch(name)
            if store.protected(name):
                raise Refused(403, "cannot write to protected branch")
            path, text = query["path"][0], body.decode()
            store.staged[name][path] = text
            sum_of = hashlib.md5(body).hexdigest()
            return 201, ObjectStats(
                path=path, path_type="object", physical_address=f"mem://{sum_of}", checksum=sum_of, size_bytes=len(body), mtime=int(time.time())
            )
        case "GET", "refs", ref, "objects":
            objects = store.objects[store.head(ref)]
            if query["path"][0] not in objects:
                raise Refused(404, "entry not found")
            return 200, objects[query["path"][0]]
        case "POST", "branches", name, "commits":
            wanted, head = CommitCreation.from_json(body), store.branch(name)
            if store.protected(name):
                raise Refused(403, "cannot commit to protected branch")
            if not store.staged[name] and not wanted.allow_empty:
                raise Refused(400, "commit: no changes")
            objects = {path: what for path, what in {**store.objects[head], **store.staged[name]}.items() if what is not GONE}
            store.branches[name], store.staged[name] = store.commit([head], objects, wanted.message), {}
            return 201, store.commits[store.branches[name]]
        case "POST", "refs", source, "merge", name:
            wanted = Merge.from_json(body or b"{}")
            into, new = store.branch(name), store.head(source)
            store.clean(name)
            objects = store.merged(store.objects[store.base(into, new)], store.objects[into], store.objects[new])
            message = wanted.message or f"Merge '{source}' into '{name}'"
            store.branches[name] = store.commit([into, new], objects, message)
            return 200, MergeResult(reference=store.branches[name])
        case "POST", "branches", name, "revert":
            wanted, head = RevertCreation.from_json(body), store.branch(name)
            store.clean(name)
            undone = store.commits[store.head(wanted.ref)]
            if len(undone.parents) > 1 and wanted.parent_number <= 0:
                raise Refused(409, "must specify a parent number when reverting a merge commit")
            if wanted.parent_number > len(undone.parents):
                raise Refused(400, "given commit does not have the given parent number")
            parent = undone.parents[max(wanted.parent_number - 1, 0)]
            objects = store.merged(store.objects[undone.id], store.objects[head], store.objects[parent])
            store.branches[name] = store.commit([head], objects, f"Revert {undone.id}")
            return 204, ""
        case "PUT", "branches", name, "hard_reset":
            store.branch(name)
            if store.protected(name):
                raise Refused(403, "protected branch")
            store.clean(name)
            store.branches[name] = store.head(query["ref"][0])
            return 204, ""
        case "GET", "settings", "branch_protection":
            return 200, store.rules
        case "PUT", "settings", "branch_protection":
            store.rules = [BranchProtectionRule.from_dict(rule) for rule in json.loads(body)]
            return 204, ""
    raise Refused(500, "invalid API endpoint")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        wanted = "Basic " + base64.b64encode(f"{sys.argv[2]}:{sys.argv[3]}".encode()).decode()
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        try:
            if parts[:2] != ["api", "v1"]:
                status, said = 200, "<html>lakeFS</html>"  # its pages for people
            elif self.headers.get("Authorization") != wanted:
                raise Refused(401, "error authenticating request")
            else:
                with LOCK:
                    status, said = answer(self.command, parts[2:], parse_qs(url.query), body)
        except Refused as refused:
            status, said = refused.status, refused.answer
        except Exception as error:  # a request that the SDK's models do not take
            status, said = 400, Error(message=f"{type(error).__name__}: {error}")
        kind = "application/json"
        if isinstance(said, str):
            kind, text = "text/html", said
        elif isinstance(said, list):
            text = json.dumps([one.to_dict() for one in said])
        else:
            text = said.to_json()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        if status != 204:
            self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
