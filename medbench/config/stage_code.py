"""The code behind each stage, as one hash: the rules name it, and a checkpoint carries it."""

from functools import cache

from medbench import augmenters, data
from medbench.core.fingerprint import fingerprint
from medbench.core.metrics import modules_in

MODULES = {
    "fetch": "medbench.data.fetch",
    "prepare": "medbench.data.prepare",
    "audit": "medbench.audit.audit",
    "audit_page": "medbench.report.audit.pages",
    "train": "medbench.augmenters.train",
    "sample": "medbench.augmenters.sample",
    "features": "medbench.fidelity.features",
    "fidelity": "medbench.fidelity.fidelity",
    "neighbours": "medbench.audit.neighbours",
    "neighbours_page": "medbench.report.audit.pages",
    "utility": "medbench.utility.utility",
    "tables": "medbench.report.tables.write",
    "figures": "medbench.report.figures.write",
    "report": "medbench.report.page.write",
}
# Random streams, threads and numbers in files count for every stage, also where the command line alone imports them.
ALWAYS = {"medbench.run.formats", "medbench.core.rng", "medbench.system.threads"}
# Folders of which a stage computes, or shows, every module, though no import names it.
FIDELITY, UTILITY = "medbench.fidelity.metrics", "medbench.utility.metrics"
SHOWS = {"tables", "figures", "report"}
FOLDERS = {"fidelity": [FIDELITY], "utility": [UTILITY], **{stage: [FIDELITY, UTILITY] for stage in sorted(SHOWS)}}
# They check, lock, log, watch or draw, and change no number. The kind that a registry finds is added by name.
IGNORED = {
    "medbench.augmenters",
    "medbench.augmenters.checked_calls",
    "medbench.augmenters.model_card",
    "medbench.system.cuda_devices",
    "medbench.data",
    "medbench.system.device",
    "medbench.core.errors",
    "medbench.run.files",
    "medbench.core.fingerprint",
    "medbench.system.gpu_lock",
    "medbench.system.file_owner",
    "medbench.run.logs",
    "medbench.system.folder_lock",
    "medbench.run.records",
    "medbench.system.launcher",
    "medbench.system.signals",
}
# An augmenter's class holds both fit and sample; these modules serve only the latter, and train leaves them out.
SAMPLERS = {"medbench.augmenters.batches"}


@cache
def code_of(stage: str, kind: str | None = None) -> str:
    """Fingerprint of a stage's code, with that of the dataset's or augmenter's kind where the stage runs one."""
    modules = [MODULES[stage], *sorted(ALWAYS)]
    modules += [module for folder in FOLDERS.get(stage, []) for module in modules_in(folder)]
    if kind:
        kinds = data.KINDS if stage == "prepare" else augmenters.plugged_in() | augmenters.KINDS
        modules.append(kinds[kind].partition(":")[0])
    without = IGNORED | (SAMPLERS if stage == "train" else set())
    return fingerprint(tuple(modules), frozenset(without), stage in SHOWS)
