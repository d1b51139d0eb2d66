"""The experiments of "Focal Loss for Dense Object Detection" (Lin et al., ICCV 2017), at a small scale."""
