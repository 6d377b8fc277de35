// How far a synthetic table's columns, and pairs of columns, are from the real table's. Takes plain
// tensors; which columns are categorical is said by flags. A missing number is NaN: a column's
// differences are those of the numbers that are there, a pair's correlation that of the rows where
// both are.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace calor::metric {

// Differences synthetic - real are in standard deviations of the real column (in its own unit where
// the real column is constant).
struct NumericDifference {
  double kolmogorov_smirnov = 0;  // greatest difference of the distribution functions, 0 to 1
  double wasserstein1 = 0;
  double mean = 0;
  double standard_deviation = 0;
};

// real [n], synthetic [m]: numbers of any type; n and m > 1.
NumericDifference numeric_difference(const at::Tensor& real, const at::Tensor& synthetic);

// Half the sum over categories of |share in real - share in synthetic|, 0 to 1. Codes [n] and [m]:
// whole numbers of any type.
double total_variation(const at::Tensor& real, const at::Tensor& synthetic);

// Cramer's V of two lists of codes [n], without bias correction: 0 independent, 1 one follows from
// the other. 0 where either is constant.
double cramers_v(const at::Tensor& a, const at::Tensor& b);

// Correlation matrices [d, d] of x [n, d]; Spearman's is Pearson's of the ranks, ties at their mean
// rank. 0 off the diagonal for a constant column.
at::Tensor pearson_correlation(const at::Tensor& x);
at::Tensor spearman_correlation(const at::Tensor& x);

struct PairwiseDifference {
  at::Tensor difference;  // float64 [c, c], absolute, diagonal 0
  // Over pairs of different columns that have numbers in two rows or more, in both tables; 0 where
  // there are no pairs, NaN where none has.
  double max = 0;
  double mean = 0;
};

struct ColumnDifference {
  bool categorical = false;
  double missing_real = 0, missing_synthetic = 0;  // shares of a numeric column's rows
  NumericDifference numeric;   // of a numeric column; NaN where fewer than two numbers are there
  double total_variation = 0;  // of a categorical column
};

struct TableDifference {
  std::vector<ColumnDifference> columns;
  PairwiseDifference pearson, spearman;       // among the numeric columns, in their order
  PairwiseDifference cramers_v, contingency;  // among the categorical columns; contingency: the
                                              // total variation of the pair's joint shares
};

// real [n, d] and synthetic [m, d], floating, n and m > 1; categorical[j]: column j holds codes.
// Error naming the column where a code is not a whole number.
TableDifference table_difference(const at::Tensor& real, const at::Tensor& synthetic,
                                 const std::vector<bool>& categorical);

}  // namespace calor::metric
