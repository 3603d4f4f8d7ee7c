/* ---- Pools: windows of an image, channel by channel ---------------------------------------------------------------- */
typedef struct {
  int32_t height, width, channels; /* of the input */
  int32_t out_height, out_width;
  int32_t kernel_height, kernel_width, stride_y, stride_x, top, left;
} window;
