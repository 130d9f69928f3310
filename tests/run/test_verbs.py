"""The two verbs that look at a run folder and change nothing."""


def test_a_folder_that_is_no_run_is_one_line_and_exit_code_2(medbench, tmp_path):
    for verb in ("verify", "status"):
        done = medbench(verb, tmp_path / "nowhere")
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith("medbench: ") and done.stderr.count("\n") == 1
