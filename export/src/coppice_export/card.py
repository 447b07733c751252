"""The model card of a bundle that comes with none: what its manifest and configuration state, and nothing else."""

from __future__ import annotations

__all__ = ["UNSTATED_LICENCE", "model_card"]

UNSTATED_LICENCE = (
    "The licence of this model's weights was not stated when the bundle was exported.\n"
    "Ask their author before you pass the bundle on.\n"
)


def model_card(manifest: dict, architecture: dict, preprocessor: dict, licence: str) -> str:
    """Markdown from the contents of `bundle.json`, `config.json`, `preprocessor_config.json` and `LICENSE`."""
    labels = [architecture["id2label"][str(i)] for i in range(architecture["num_labels"])]
    named = ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
    keep, size = manifest["keep"], preprocessor["crop_size"]["height"]
    budget = (
        f"input `{keep['name']}`: patch tokens kept at each of {keep['stages']} stages" if keep["stages"] else "none"
    )
    mean, std = (" ".join(f"{value:g}" for value in preprocessor[f"image_{key}"]) for key in ("mean", "std"))
    rows = {
        "input": f"{size}x{size} pixels: short side resized to {preprocessor['size']['shortest_edge']}, centre crop, "
        f"mean {mean}, standard deviation {std}",
        "tokens": f"{keep['patches']} patches ({keep['grid']}x{keep['grid']}) and {keep['prefix']} before them",
        "body": f"{architecture['num_hidden_layers']} blocks, {architecture['hidden_size']} channels, "
        f"{architecture['num_attention_heads']} heads, {architecture['intermediate_size']} hidden",
        "token budget": budget,
        "precision": manifest.get("precision", "float32"),
        "operators": ", ".join(manifest["operators"]["used"]) or "none of Coppice's",
    }
    licensed = "See LICENSE: " + licence.strip().splitlines()[0].strip() if licence.strip() else "None stated."
    return "\n".join(
        [
            f"# {manifest['name']} {manifest['version']}",
            "",
            f"A vision transformer for {len(labels)} classes: {named}.",
            "",
            *("| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows.items())),
            "",
            *("## Accuracy", "", *_accuracy(manifest)),
            "",
            *("## Training", "", "This card was written at export, which does not see how the model was trained."),
            "",
            *("## Limits", "", "Every picture gets one of the labels, also one that shows none of them."),
            "Accuracy on other photographs than those named above is not known.",
            "A budget between two rungs is not measured; time depends on the board and is not stated here.",
            "",
            *("## Licence", "", licensed, ""),
        ]
    )


def _accuracy(manifest: dict) -> list[str]:
    ladder = manifest["ladder"]
    measured = any("top1" in rung for rung in ladder)
    if not measured:
        first = "Not measured."
    elif data := manifest.get("accuracy", {}).get("data"):
        first = f"Top-1 on {data}:"
    else:
        first = "Top-1, on photographs that were not named:"
    if not ladder:
        return [first]
    rows = [
        f"| {rung['name']}{' (default)' if rung['name'] == manifest['default'] else ''} | "
        f"{', '.join(map(str, rung['keep']))} | {rung['macs'] / 1e6:.0f} M | "
        f"{format(rung['top1'], '.2f') + ' %' if 'top1' in rung else 'not measured'} |"
        for rung in ladder
    ]
    return [first, "", "| rung | tokens kept | multiply-adds | top-1 |", "| --- | --- | --- | --- |", *rows]
