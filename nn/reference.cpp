#include "detent/nn/reference.h"

#include "detent/io/options.h"
#include "detent/nn/modules/modules.h"

namespace detent::nn {
namespace {

std::string section(const std::string& kind, const std::string& meaning, const std::string& options) {
  return "## " + kind + "\n\n" + meaning + "\n\n" + options + "\n";
}

template <typename Options>
std::string section(const std::string& kind, const std::string& meaning) {
  return section(kind, meaning, options_table<Options>());
}

}  // namespace

std::string modules_reference() {
  const std::string none = "It has no options.\n";
  return section<Conv2d::Options>("conv2d", "2-d convolution of images `[H, W, C]`.") +
         section<Linear::Options>("linear", "y = x W^T + b of vectors `[I]`.") +
         section<BatchNorm::Options>("batch_norm", "Normalization of each channel, the last axis, over the batch.") +
         section<ActivationLayer::Options>("activation", "A function of each element.") +
         section<Pool2d::Options>("max_pool2d", "The largest value of each window of images `[H, W, C]`.") +
         section<Pool2d::Options>("avg_pool2d", "The mean of each window; padding counts as zeros.") +
         section("global_avg_pool2d", "The mean of each channel of images `[H, W, C]`.", none) +
         section<Dropout::Options>("dropout", "In training, elements are dropped at random and the others scaled up.") +
         section("flatten", "`[...]` to a vector, as the elements lie: the channel is the fastest.", none) +
         section<Concat::Options>("concat", "Its inputs one behind the other along the last axis, the channels.") +
         section("softmax", "Probabilities over the last axis: exp(x) by the sum of exp(x). Cross-entropy has its own.",
                 none) +
         section<Add::Options>("add", "The sum of two inputs of one shape.");
}

}  // namespace detent::nn
