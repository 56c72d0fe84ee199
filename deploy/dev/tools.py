"""`make tools`: fetches, once, what `make stack` and the live tests start."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.dev import kafka, postgres, redis

POM = Path(__file__).with_name("kafka-pom.xml")
MAVEN_PACKAGE = "maven"
GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def main() -> int:
    """Report what is there, fetch what is missing, and return the exit status: 0 when nothing lacks."""
    lacking = missing_packages()
    if lacking:
        install(lacking)
        lacking = missing_packages()
    for name, found in (("redis", redis.find()), ("postgres", postgres.find()), ("java", kafka.find_java())):
        _say(f"{name}: {found or 'missing'}")
    if lacking:
        _say(f"These packages are needed: {' '.join(lacking)}. Install them and run `make tools` again.")
        return 1
    return 0 if fetch_kafka() else 1


def missing_packages() -> list[str]:
    """Name, as Debian does, the packages whose programs were not found."""
    lacking = []
    if redis.find() is None:
        lacking.append(redis.PACKAGE)
    if postgres.find() is None:
        lacking.append(postgres.PACKAGE)
    if kafka.find_java() is None:
        lacking.append(kafka.JAVA_PACKAGE)
    if kafka.find() is None and shutil.which("mvn") is None:
        lacking.append(MAVEN_PACKAGE)
    return lacking


def install(packages: Sequence[str]) -> None:
    """Install Debian packages where we may: as root, with apt-get. Elsewhere does nothing."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    _say(f"installing with apt-get: {' '.join(packages)}")
    command = [apt, "install", "-y", "--no-install-recommends", *packages]
    if _show(command):
        _say("apt-get did not find them; reading the package lists anew")
        _show([apt, "update"])
        _show(command)


def fetch_kafka() -> bool:
    """Put Kafka's jars into .tools/kafka/libs with Maven; tells whether they are there."""
    if kafka.find() is not None:
        _say(f"kafka: {kafka.VERSION} in {kafka.LIBS}")
        return True
    maven = shutil.which("mvn")
    assert maven is not None, "missing_packages names Maven first"
    _say(f"kafka: fetching {kafka.VERSION} and what it needs from Maven Central (46 jars, 43 MB)")
    unfinished = kafka.LIBS.with_name("libs.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [maven, "-B", "-q", "-f", str(POM), GOAL, f"-DoutputDirectory={unfinished}"]
    if _show(command):
        _say("kafka: Maven failed, see above; is the network there? Run `make tools` again.")
        return False
    # Moved as a whole, so that a folder of jars is never half a Kafka.
    shutil.rmtree(kafka.LIBS, ignore_errors=True)
    unfinished.rename(kafka.LIBS)
    _say(f"kafka: {kafka.VERSION} in {kafka.LIBS}")
    return True


def _show(command: Sequence[str | Path]) -> int:
    """Run a command whose output the user sees; returns its exit status."""
    return subprocess.run(  # noqa: S603 - the command is ours
        command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False
    ).returncode


def _say(line: str) -> None:
    print(f"tools: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
