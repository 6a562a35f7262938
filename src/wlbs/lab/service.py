# SPDX-License-Identifier: Apache-2.0
"""The service a cluster of the lab offers: one nginx per host, which answers with the host's name.

Knows nginx's configuration and the form of its access log, which is the service's own testimony
of who reached it. Knows nothing of clusters: it listens on every address the host has.
"""

from pathlib import Path
from typing import Final

from wlbs.core.address import IpAddress
from wlbs.lab.command import inside, run, start
from wlbs.lab.names import LabNames
from wlbs.lab.wait import wait_until
from wlbs.scenario.evidence import LogEntry

PORTS: Final = (80, 81)

_CONFIGURATION: Final = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  log_format flows '$remote_addr $remote_port $server_port';
  access_log {folder}/access.log flows;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout {keepalive_s};
  keepalive_requests {requests_max};
  server {{
{listens}
    default_type text/plain;
    location / {{ return 200 "{host}\\n"; }}
    # A connection that lasts is judged by its client; thousands of lines would say nothing more.
    location /lasting {{ access_log off; return 200 "{host}\\n"; }}
  }}
}}
"""


KEEPALIVE_S: Final = 600
"""Longer than any scenario: an idle connection is closed by its client, or by a host that dies."""

REQUESTS_MAX: Final = 1_000_000
"""More than any client asks on one connection; nginx closes after 1,000 otherwise."""


def start_service(names: LabNames, host: str) -> None:
    """Start a host's nginx and return when it listens."""
    folder = _folder(names, host)
    folder.mkdir(parents=True, exist_ok=True)
    listens = "\n".join(f"    listen {port} backlog=4096;" for port in PORTS)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            host=host,
            listens=listens,
            keepalive_s=KEEPALIVE_S,
            requests_max=REQUESTS_MAX,
        )
    )
    namespace = names.namespace(host)
    words = ("nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration))
    start(inside(namespace, *words), folder / "output.log")
    wait_until(lambda: _listens(namespace), f"nginx on {host} to listen")


def service_runs(names: LabNames, host: str) -> bool:
    """Tell whether a host's nginx listens on all its ports."""
    return _listens(names.namespace(host))


def read_log(names: LabNames, host: str) -> tuple[LogEntry, ...]:
    """Return what a host's nginx says it has answered."""
    log = _folder(names, host) / "access.log"
    if not log.exists():
        return ()
    return tuple(_entry(host, line) for line in log.read_text().splitlines())


def _entry(host: str, line: str) -> LogEntry:
    address, port, server_port = line.split()
    return LogEntry(host, IpAddress.parse(address), int(port), int(server_port))


def _folder(names: LabNames, host: str) -> Path:
    return names.state / "service" / host


def _listens(namespace: str) -> bool:
    sockets = run(inside(namespace, "ss", "--no-header", "--listening", "--tcp", "--numeric"))
    return all(f":{port} " in sockets for port in PORTS)
