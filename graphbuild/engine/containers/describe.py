"""What there is to say of a container, in the shape and the words of Docker's `inspect`."""

from pathlib import Path
from typing import Any

from graphbuild.engine.containers.creation import capability_names, volume_folder
from graphbuild.engine.containers.model import Health, Mount, Spec
from graphbuild.engine.containers.shelf import Container, Seen
from graphbuild.values.config import Config, Healthcheck

_SECOND = 10**9
_NEVER = "0001-01-01T00:00:00Z"


def describe(container: Container, seen: Seen, root: Path, stamp: Any) -> dict[str, Any]:
    """`stamp` writes nanoseconds of the epoch. `root`: the store's."""
    spec, folder = container.spec, container.folder
    argv = spec.argv
    return {
        "Id": container.id,
        "Created": stamp(spec.created),
        "Path": argv[0] if argv else "",
        "Args": list(argv[1:]),
        "State": _state(seen, stamp),
        "Image": str(spec.image.id),
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(folder / "log"),
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay",
        "Platform": spec.config.os,
        "HostConfig": _host_config(spec),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {"MergedDir": str(folder / "merged"), "UpperDir": str(folder / "upper"), "WorkDir": str(folder / "work")},
        },
        "Mounts": [_mount(mount, root) for mount in spec.mounts],
        "Config": _config(spec.config, spec),
        "NetworkSettings": {"Ports": {}, "Networks": {spec.network: {}}},
    }


def _state(seen: Seen, stamp: Any) -> dict[str, Any]:
    state = seen.state
    said = {
        "Status": seen.status,
        "Running": seen.running,
        "Paused": seen.status == "paused",
        "Restarting": False,
        "OOMKilled": bool(state and state.out_of_memory),
        "Dead": False,
        "Pid": state.pid if state and seen.running else 0,
        "ExitCode": state.exit_code if state else 0,
        "Error": state.error if state else "",
        "StartedAt": stamp(state.started) if state else _NEVER,
        "FinishedAt": stamp(state.finished) if state and not seen.running and state.started else _NEVER,
    }
    if state and state.health is not None:
        said["Health"] = _health(state.health, stamp)
    return said


def _health(health: Health, stamp: Any) -> dict[str, Any]:
    log = [{"Start": stamp(each.start), "End": stamp(each.end), "ExitCode": each.exit_code, "Output": each.output} for each in health.log]
    return {"Status": health.status, "FailingStreak": health.failing, "Log": log}


def _host_config(spec: Spec) -> dict[str, Any]:
    binds = [f"{mount.source}:{mount.to}{':ro' if mount.read_only else ''}" for mount in spec.mounts if mount.kind != "tmpfs"]
    return {
        "Binds": binds,
        "NetworkMode": spec.network,
        "AutoRemove": spec.auto_remove,
        "Capabilities": list(capability_names(spec.capabilities)),
        "Dns": list(spec.dns),
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.hosts],
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "Tmpfs": {mount.to: "" for mount in spec.mounts if mount.kind == "tmpfs"},
        "Memory": spec.memory,
        "PidsLimit": spec.processes or None,
        "Init": spec.init,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }


def _mount(mount: Mount, root: Path) -> dict[str, Any]:
    source = str(volume_folder(root, mount.source)) if mount.kind == "volume" else mount.source
    said: dict[str, Any] = {"Type": mount.kind, "Source": source, "Destination": mount.to, "Mode": "", "RW": not mount.read_only}
    if mount.kind == "volume":
        said |= {"Name": mount.source, "Driver": "local"}
    return said


def _config(config: Config, spec: Spec) -> dict[str, Any]:
    return {
        "Hostname": spec.hostname,
        "User": config.user,
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "StdinOnce": spec.once,
        "ExposedPorts": {port: {} for port in config.expose},
        "Env": [f"{name}={value}" for name, value in config.env],
        "Cmd": list(config.cmd) if config.cmd else None,
        "Healthcheck": _healthcheck(config.healthcheck) if config.healthcheck else None,
        "Image": spec.image_name,
        "Volumes": {path: {} for path in config.volumes} or None,
        "WorkingDir": config.workdir,
        "Entrypoint": list(config.entrypoint) if config.entrypoint else None,
        "OnBuild": list(config.on_build) or None,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal or "SIGTERM",
        "StopTimeout": int(spec.stop_timeout),
    }


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    times = {"Interval": check.interval, "Timeout": check.timeout, "StartPeriod": check.start_period, "StartInterval": check.start_interval}
    return {"Test": list(check.test), "Retries": check.retries, **times}
