"""Many files and one large one."""

import pytest
from conftest import SANITIZED
from testbed.memory import PeakMemory, PeakMemoryOfAgent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(SANITIZED, reason="gcc run only")]


CONTROLLER_MAX = 64 << 20
AGENT_MAX = 32 << 20


def deploy_measured(shop):
    """Deploys to dev; neither the controller nor the agent may take more than the goals allow."""
    process = shop.run.start("deploy", "dev")
    with PeakMemory(process.pid) as controller, PeakMemoryOfAgent(shop.place().path) as agent:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    print(f"controller {controller.peak >> 10} KB, agent {agent.peak >> 10} KB")
    assert 0 < controller.peak < CONTROLLER_MAX, f"the controller took {controller.peak >> 10} KB"
    assert 0 < agent.peak < AGENT_MAX, f"the agent took {agent.peak >> 10} KB"


def test_a_hundred_thousand_small_files(shop):
    shop.repo.import_files({f"many/{number // 1000:03}/file{number}.txt": f"{number}\n" for number in range(100_000)})
    shop.environment("dev", "web1")
    deploy_measured(shop)
    place = shop.place()
    assert sum(1 for path in place.live_dir.glob("many/*/*.txt")) == 100_000
    assert (place.live_dir / "many/099/file99999.txt").read_text() == "99999\n"
    shop.repo.import_files({"many/050/file50000.txt": "changed\n"})
    deploy_measured(shop)
    assert (place.live_dir / "many/050/file50000.txt").read_text() == "changed\n"
    assert sum(1 for path in place.live_dir.glob("many/*/*.txt")) == 100_000


def test_one_file_of_two_gigabytes_made_by_the_build(shop):
    # Not all zeros, yet quick to make and to compress.
    shop.config["build"] = {"run": ["yes 0123456789abcdef | head -c 2210000000 > large.bin"]}
    shop.environment("dev", "web1")
    process = shop.run.start("deploy", "dev")
    with PeakMemory(process.pid) as memory:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    large = shop.place().live_dir / "large.bin"
    assert large.stat().st_size == 2_210_000_000
    with open(large, "rb") as file:
        file.seek(2_209_999_983)
        assert file.read() == b"0123456789abcdef\n"
    assert 0 < memory.peak < CONTROLLER_MAX, f"the controller took {memory.peak >> 10} KB"
