"""Images: a backbone of `transformers`, the mean over the image, and a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.networks.backbones import build_backbone, require_weights, settle_weights
from models.networks.inputs import ImageInputs


class ImageClassifier(nn.Module):
    """Logits of a binary label or of classes, or a value, for each image.

    Args:
        inputs: what the encoder knows about the images.
        backbone: a folder with config.json and model.safetensors, or a name on the Hugging Face hub, of a model that
            `transformers.AutoModel` loads: a ViT, DINOv2, ConvNeXt, Swin, ResNet.
        is_pretrained: whether training begins with the weights of `backbone`, or with random ones of its shape.
        is_frozen: whether only the head is trained.
        dropout: before the head.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        inputs: ImageInputs,
        backbone: str,
        is_pretrained: bool = True,
        is_frozen: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not isinstance(inputs, ImageInputs):
            raise ValueError(
                f"{type(self).__name__} takes images, not {type(inputs).__name__}; name a column in data.images"
            )
        self.is_frozen = False
        for name, values in (("mean", inputs.mean), ("std", inputs.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.backbone, missing = build_backbone(
            backbone, inputs.backbone if inputs.is_restored else None, is_pretrained
        )
        images = torch.zeros((1, 3, inputs.size, inputs.size), dtype=torch.uint8)
        self.backbone.eval()  # statistics of batches must not see the empty image
        try:
            size = self._pooled(images).shape[1]
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"backbone={backbone!r} takes no images of {inputs.size} pixels; set data.image_size ({error})"
            ) from error
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(size, inputs.num_outputs))
        require_weights(backbone, missing, settle_weights(self, lambda: self(images)))
        self.is_frozen = is_frozen
        if is_frozen:
            self.backbone.requires_grad_(False)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Pixels, uint8 (rows, 3, size, size), to outputs (rows,) or (rows, outputs)."""
        outputs: Tensor = self.head(self._pooled(images))
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs

    def train(self, mode: bool = True) -> ImageClassifier:
        """As torch does it, but a frozen backbone has no dropout and keeps its statistics."""
        super().train(mode)
        if self.is_frozen:
            self.backbone.eval()
        return self

    def _pooled(self, images: Tensor) -> Tensor:
        pixels = (images.to(self.mean.dtype) / 255 - self.mean) / self.std
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            found = self.backbone(pixel_values=pixels)
        # Transformers give (rows, patches, size); convolutions (rows, size, height, width), which they pool themselves.
        patches: Tensor = found.last_hidden_state
        return patches.mean(dim=1) if patches.ndim == 3 else found.pooler_output.flatten(1)
