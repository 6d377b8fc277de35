#include "calor/solve/butcher_tableau.h"

namespace calor::solve {
namespace {

// clang-format off
constexpr double euler_c[] = {0};
constexpr double euler_b[] = {1};

constexpr double midpoint_c[] = {0, 0.5};
constexpr double midpoint_a[] = {0.5};
constexpr double midpoint_b[] = {0, 1};

constexpr double heun_c[] = {0, 1};
constexpr double heun_a[] = {1};
constexpr double heun_b[] = {0.5, 0.5};

constexpr double rk4_c[] = {0, 0.5, 0.5, 1};
constexpr double rk4_a[] = {0.5,
                            0, 0.5,
                            0, 0, 1};
constexpr double rk4_b[] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};

// Dormand and Prince, "A family of embedded Runge-Kutta formulae", 1980: RK5(4)7M.
constexpr double dopri5_c[] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
constexpr double dopri5_a[] = {
    1.0 / 5,
    3.0 / 40, 9.0 / 40,
    44.0 / 45, -56.0 / 15, 32.0 / 9,
    19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729,
    9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656,
    35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84};
constexpr double dopri5_b[] = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784,
                               11.0 / 84, 0};
constexpr double dopri5_error[] = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200,
                                   22.0 / 525, -1.0 / 40};

// Tsitouras, "Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying
// assumption", 2011, table 1.
constexpr double tsit5_c[] = {0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1};
constexpr double tsit5_a[] = {
    0.161,
    -0.008480655492356989, 0.335480655492357,
    2.8971530571054935, -6.359448489975075, 4.3622954328695815,
    5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525,
    5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401,
    -0.028269050394068383,
    0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
    2.324710524099774};
constexpr double tsit5_b[] = {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742,
                              -3.290069515436081, 2.324710524099774, 0};
constexpr double tsit5_error[] = {-0.00178001105222577714, -0.0008164344596567469,
                                  0.007880878010261995, -0.1447110071732629, 0.5823571654525552,
                                  -0.45808210592918697, 1.0 / 66};
// clang-format on

constexpr ButcherTableau euler{.order = 1, .c = euler_c, .a = {}, .b = euler_b, .error = {}};
constexpr ButcherTableau midpoint{
    .order = 2, .c = midpoint_c, .a = midpoint_a, .b = midpoint_b, .error = {}};
constexpr ButcherTableau heun{.order = 2, .c = heun_c, .a = heun_a, .b = heun_b, .error = {}};
constexpr ButcherTableau rk4{.order = 4, .c = rk4_c, .a = rk4_a, .b = rk4_b, .error = {}};
constexpr ButcherTableau dopri5{
    .order = 5, .c = dopri5_c, .a = dopri5_a, .b = dopri5_b, .error = dopri5_error};
constexpr ButcherTableau tsit5{
    .order = 5, .c = tsit5_c, .a = tsit5_a, .b = tsit5_b, .error = tsit5_error};

}  // namespace

const ButcherTableau& butcher_tableau(OdeMethod method) {
  switch (method) {
    case OdeMethod::euler:
      return euler;
    case OdeMethod::midpoint:
      return midpoint;
    case OdeMethod::heun:
      return heun;
    case OdeMethod::rk4:
      return rk4;
    case OdeMethod::tsit5:
      return tsit5;
    default:
      break;
  }
  return dopri5;
}

}  // namespace calor::solve
