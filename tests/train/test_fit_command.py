"""`scprism fit`, really interrupted."""

import signal
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from scprism.cli import main
from scprism.read.synthetic import Simulation, simulate_cells

# a job in the background is started deaf to Ctrl-C
CHILD = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
CHILD += "from scprism.cli import main; sys.argv[0] = 'scprism'; main()"


@pytest.fixture
def command(tmp_path):
    cells = simulate_cells(Simulation(n_cells=400), rng=0)
    cells.write_h5ad(tmp_path / "ref.h5ad")
    genes = tmp_path / "genes.txt"
    genes.write_text("\n".join(cells.var_names))
    (tmp_path / "settings.toml").write_text(
        f"max_epochs = 150\npatience = 500\nhidden_size = 16\ngenes = {str(genes)!r}"
    )
    return ["fit", str(tmp_path / "ref.h5ad"), "--config", str(tmp_path / "settings.toml"), "--out"]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scprism", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_ctrl_c_says_how_to_go_on_and_the_model_is_the_same(command, tmp_path, monkeypatch, capsys):
    out, checkpoint = tmp_path / "model", tmp_path / "model.checkpoint"
    child = subprocess.Popen([sys.executable, "-c", CHILD, *command, str(out)], stderr=subprocess.PIPE, text=True)
    while not checkpoint.exists():
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    messages = child.communicate(timeout=60)[1]
    assert child.returncode != 0
    assert f"interrupted; the same command with --resume goes on from {checkpoint}" in messages
    assert not out.exists()
    assert run(monkeypatch, *command, str(out)) == 2
    assert "Go on with it (--resume), or delete it" in capsys.readouterr().err
    assert run(monkeypatch, *command, str(out), "--resume") == 0
    assert not checkpoint.exists()
    assert run(monkeypatch, *command, str(tmp_path / "whole")) == 0
    resumed, whole = (load_file(folder / "weights.safetensors") for folder in (out, tmp_path / "whole"))
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_without_a_checkpoint_resume_begins_anew_and_says_so(command, tmp_path, monkeypatch, capsys):
    text = (tmp_path / "settings.toml").read_text().replace("max_epochs = 150", "max_epochs = 2")
    (tmp_path / "settings.toml").write_text(text)
    assert run(monkeypatch, *command, str(tmp_path / "model"), "--resume") == 0
    message = capsys.readouterr().err
    assert f"there is no {tmp_path / 'model.checkpoint'} to go on from: training begins anew" in message
    assert "training takes at most about" in message
    assert ": 2 epochs of " in message
    assert "validation loss" not in message  # no bar where stderr is no terminal
