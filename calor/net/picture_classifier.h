// A small network that says of which class a picture is, and whose features measure pictures: He et
// al., "Identity Mappings in Deep Residual Networks" (2016), with group norms in place of batch
// norms, so that what it says of a picture does not depend on the others. For a picture u of bytes,
// with w_l the widths, GN a group norm with a learnt scale and shift, n(h) = silu(GN(h)):
//
//     h <- conv_3(u / 127.5 - 1)                     w_0 channels
//     h <- s(h) + conv_3(n(conv_3(n(h))))            `blocks` times for each l; the first of l > 0
//                                                    with stride 2, where s is a conv_1, else s = h
//     features = mean over the pixels of n(h)        w_last numbers
//     logits = Linear(features)
//
// Parameters, with P(i, o, k) = (k^2 i + 1) o: P(C, w_0, 3) + the blocks' P(i, o, 3) + P(o, o, 3) +
// 2 (i + o), P(i, o, 1) for the first of l > 0, + 2 w_last + P(w_last, classes, 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/dataset.h"
#include "calor/net/convolution.h"
#include "calor/net/group_norm.h"
#include "calor/net/layers.h"
#include "calor/net/parameters.h"

namespace calor::net {

// The defaults: for about 30 x 30 pixels on a few cores.
struct PictureClassifierOptions {
  std::vector<double> widths{16, 32, 64};  // channels; each after the first halves the sides
  std::int64_t blocks = 2;                 // of each width
  std::int64_t groups = 8;                 // of the group normalisation

  void declare(config::Options& options);
};

class PictureClassifier {
 public:
  // UsageError where the options do not fit each other or the pictures, or there are no classes.
  PictureClassifier(const PictureClassifierOptions& options, const data::ItemSpec& pictures);

  // Of pictures [N, C, H, W] in [-1, 1]: the output of the last block of each width, [N, w_l, ..],
  // and the normed one that the features are the means of. Differentiable.
  std::vector<at::Tensor> layers(const at::Tensor& pictures, Precision precision) const;
  // From the last of those: [N, w_last].
  static at::Tensor features(const at::Tensor& last);
  // From the features: [N, classes].
  at::Tensor logits(const at::Tensor& features) const;
  // From the pictures.
  at::Tensor read(const at::Tensor& pictures, Precision precision) const;

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const PictureClassifierOptions& options() const { return options_; }
  const data::ItemSpec& pictures() const { return pictures_; }

 private:
  struct Block {
    ChannelAffine norm1, norm2;
    Convolution first, second, skip;  // skip: none where the block keeps the shape
    std::int64_t stride = 1;
  };
  at::Tensor run(const Block& block, const at::Tensor& x, Precision precision) const;

  PictureClassifierOptions options_;
  data::ItemSpec pictures_;
  Parameters parameters_;
  Convolution stem_;
  std::vector<std::vector<Block>> levels_;
  ChannelAffine last_norm_;
  Linear last_;
};

}  // namespace calor::net
