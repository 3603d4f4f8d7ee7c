/* ---- Products: convolutions, and linear layers, which are convolutions of one pixel --------------------------------
 * Images lie row by row, pixel by pixel, the channels of a pixel side by side. For every output o of every pixel:
 *   sum  = start[o] + sum of code * weight,  start[o] = - input_zero * sum of weight
 *        = sum of (code - input_zero) * weight,  exact in 32 bits
 * What lies outside of the image is input_zero, which is real 0. */
typedef void dot_function(const uint8_t *codes, const void *row, const void *next_row, int32_t count,
                          int32_t *sums);

typedef struct {
  int32_t height, width, channels; /* of the input */
  int32_t out_height, out_width, outputs;
  int32_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x;
  int32_t top, left;               /* padding */
  int32_t groups;                  /* of channels, each with outputs of its own */
  int32_t depth;                   /* products in a sum */
  int32_t row_bytes;               /* of the weights of one output */
  uint8_t input_zero, output_zero, lowest, highest;
  const void *weight;              /* [outputs][kernel row][kernel column][channel of the group] */
  const int32_t *start;
MODEL_PRODUCT_FIELDS} product;
