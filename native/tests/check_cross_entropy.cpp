// Cross-entropy: rows of logits against sums in double.

#include "sostenuto/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "problem.h"
#include "tests.h"

namespace sostenuto::tests {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

struct Logits {
  Logits(int64_t number, int64_t classes, double spread, Random& random)
      : logits(number * classes), wanted(number), d_losses(number) {
    for (int64_t k = 0; k < logits.size(); ++k) logits[k] = float(spread) * random.between(-1.5, 1.5);
    for (int64_t k = 0; k < number; ++k) {
      wanted[k] = random.below(classes);
      d_losses[k] = random.below(4) ? random.between(-1.5, 1.5) : 0.0f;
    }
    call = {number, classes, logits.data(), wanted.data()};
  }

  Guarded<float> logits;
  Guarded<int64_t> wanted;
  Guarded<float> d_losses;
  CrossEntropy call;
};

struct Found {
  explicit Found(Logits& rows)
      : losses(rows.call.rows), kept(2 * rows.call.rows), d_logits(rows.call.rows * rows.call.classes) {
    cross_entropy(rows.call, losses.data(), kept.data());
    cross_entropy_gradient(rows.call, kept.data(), rows.d_losses.data(), d_logits.data());
  }

  bool canaries_live() const { return losses.canaries_live() && kept.canaries_live() && d_logits.canaries_live(); }

  Guarded<float> losses, kept, d_logits;
};

bool near(double got, double wanted) {
  if (std::isnan(wanted)) return std::isnan(got);
  return std::fabs(got - wanted) <= 2e-6 * (1 + std::fabs(wanted));
}

// Small shares too: 1e-5 of what they are.
bool near_share(double got, double wanted) {
  if (std::isnan(wanted)) return std::isnan(got);
  return std::fabs(got - wanted) <= 3e-7 && std::fabs(got - wanted) <= 1e-5 * std::fabs(wanted) + 1e-36;
}

std::string trouble(Logits& rows, const Found& found) {
  const int64_t V = rows.call.classes;
  for (int64_t row = 0; row < rows.call.rows; ++row) {
    const float* logits = rows.logits.data() + row * V;
    const int64_t wanted = rows.wanted[row];
    const bool counts = wanted >= 0 && wanted < V;
    double most = -infinity, sum = 0;
    for (int64_t k = 0; k < V; ++k) most = std::max(most, double(logits[k]));
    for (int64_t k = 0; k < V; ++k) sum += std::exp(logits[k] - most);
    const double loss = counts ? std::log(sum) - (logits[wanted] - most) : 0;
    const std::string where = " of row " + std::to_string(row);
    if (!near(found.losses[row], loss))
      return "loss" + where + ": " + std::to_string(found.losses[row]) + ", wanted " + std::to_string(loss);
    for (int64_t k = 0; k < V; ++k) {
      const double share = std::exp(logits[k] - most - std::log(sum));
      const double factor = counts ? rows.d_losses[row] : 0;
      const double gradient = factor == 0 ? 0 : k == wanted ? (share - 1) * factor : share * factor;
      const double got = found.d_logits[row * V + k];
      if (k == wanted ? !near(got, gradient) : !near_share(got, gradient))
        return "gradient " + std::to_string(k) + where + ": " + std::to_string(got) + ", wanted " +
               std::to_string(gradient);
    }
  }
  return "";
}

void check_rows(Logits& rows, const std::string& what) {
  on_every_target(2, [&](const std::string& where) {
    const Found found(rows);
    const std::string which = std::to_string(rows.call.rows) + " rows of " + std::to_string(rows.call.classes) +
                              " classes, " + what + "; " + where;
    CHECK_NO_TROUBLE(trouble(rows, found), which);
    CHECK(found.canaries_live(), which);
  });
}

}  // namespace

void check_cross_entropy() {
  Random random(5);
  for (int64_t classes : {1, 2, 3, 4, 7, 15, 16, 17, 31, 33, 64, 65, 100, 1000, 10007})
    for (double spread : {1.0, 30.0}) {
      Logits rows(classes > 1000 ? 9 : 40, classes, spread, random);
      check_rows(rows, "spread " + std::to_string(spread));
    }
  for (int64_t classes : {5, 40, 130})
    for (float odd : {nan, infinity, -infinity}) {
      Logits rows(6, classes, 2, random);
      for (int64_t row : {1, 4}) rows.logits[row * classes + random.below(classes)] = odd;
      rows.wanted[2] = -1;
      rows.wanted[3] = classes;
      check_rows(rows, "with " + std::to_string(odd));
    }
  Logits none(0, 3, 1, random);
  check_rows(none, "none");
}

}  // namespace sostenuto::tests
