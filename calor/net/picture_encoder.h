// What a policy makes of the pictures that it observes: for each, a few places in it, as numbers. A
// small residual network ends in a spatial softmax (Levine et al., "End-to-End Training of Deep
// Visuomotor Policies", 2016), with group norms in place of batch norms and none of the averages
// over a picture that would lose where things are (Chi et al., "Diffusion Policy", 2023). For a
// picture u of C bytes a pixel, with w_l the widths, GN a group norm with a learnt scale and shift:
//
//     h <- silu(GN(conv_5(u / 127.5 - 1)))           stride 2, w_0 channels
//     h <- R_l(h), l = 1, 2, ...                     stride 2, w_l channels:
//          R(h) = silu(GN(conv_3(silu(GN(conv_3(h))))) + conv_1(h)), conv_1 and the inner conv_3 of
//          stride 2
//     m = conv_1(h)                                  K maps
//     (x_k, y_k) = sum over pixels (i, j) of p_k(i, j) (x_j, y_i),  p_k = softmax of m_k
//     result = Linear(x, y)                          F numbers
//
// where x_j and y_i run from -1 to 1. One encoder serves all observed steps.
//
// Parameters, with P(i, o, k) = (k^2 i + 1) o for a convolution of k from i to o channels:
//     P(C, w_0, 5) + 2 w_0 + sum over l of P(w_(l-1), w_l, 3) + P(w_l, w_l, 3) + P(w_(l-1), w_l, 1)
//     + 4 w_l, and P(w_last, K, 1) + (2 K + 1) F.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "calor/config/options.h"
#include "calor/data/dataset.h"
#include "calor/net/convolution.h"
#include "calor/net/group_norm.h"
#include "calor/net/layers.h"

namespace calor::net {

// The defaults: for 96 x 96 pixels on a few cores.
struct PictureEncoderOptions {
  std::vector<double> widths{16, 32, 64};  // channels; each halves the sides
  std::int64_t groups = 8;                 // of the group normalisation
  std::int64_t points = 32;                // K, places that are looked for
  std::int64_t features = 64;              // F, numbers for each picture

  void declare(config::Options& options);
};

// The pictures beside each chunk (none where shape.count is 0), and what becomes of them.
struct PictureInput {
  data::ObservedShape shape = {};
  PictureEncoderOptions encoder = {};
};

// UsageError where the options do not fit each other or the pictures.
void check_picture_encoder(const PictureInput& pictures);

// For maps [N, K, H, W] the mean place under the softmax of each: [N, 2 K], x (from -1 in the first
// column to 1 in the last) of every map, then y (rows). A side of one pixel has the place 0.
at::Tensor spatial_softmax(const at::Tensor& maps);

class PictureEncoder {
 public:
  PictureEncoder(Parameters& parameters, const std::string& name, const PictureInput& pictures);

  // For uint8 [N, count, C, H, W] the numbers of all, [N, count * F], in the type of the weights.
  at::Tensor operator()(const at::Tensor& pictures, Precision precision) const;

 private:
  // A convolution and its group norm.
  struct Unit {
    Convolution convolution;
    ChannelAffine norm;
    std::int64_t groups = 1, stride = 1;

    at::Tensor operator()(const at::Tensor& x, Precision precision) const;
  };
  struct Block {
    Unit first, second;
    Convolution skip;
  };
  Unit make_unit(Parameters& parameters, const std::string& name, std::int64_t in, std::int64_t out,
                 std::int64_t side, std::int64_t stride) const;

  // [P, C, H, W] to [P, F].
  at::Tensor look_at(const at::Tensor& pictures, Precision precision) const;

  std::int64_t groups_;
  Unit stem_;
  std::vector<Block> blocks_;
  Convolution maps_;
  Linear last_;
};

}  // namespace calor::net
