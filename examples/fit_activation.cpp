// SPDX-License-Identifier: Apache-2.0
// Fits P(x) / (1 + |S(x)|) to an activation by least squares, and plots the fit and its error.
#include <Eigen/Dense>
#include <cmath>
#include <functional>
#include <map>

#include "iapt/io/atomic_file.hpp"
#include "support/command_line.hpp"

namespace {

const std::map<std::string, std::function<double(double)>> activations{
    {"gelu", [](double x) { return x * 0.5 * std::erfc(-x * M_SQRT1_2); }},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"relu", [](double x) { return std::max(x, 0.0); }},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"softplus", [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }}};

/// P(x) / (1 + |S(x)|). c has the coefficients a_0..a_M, then b_1..b_K.
double rational(const Eigen::VectorXd& c, int M, double x) {
  double p = 0, s = 0;
  for (int j = M; j >= 0; --j) p = p * x + c[j];
  for (int k = int(c.size()) - 1; k > M; --k) s = (s + c[k]) * x;
  return p / (1 + std::abs(s));
}

/// Levenberg-Marquardt algorithm. The start is a linear fit: y (1 + S) = P is linear in the coefficients.
Eigen::VectorXd fit(const Eigen::VectorXd& x, const Eigen::VectorXd& y, int M, int K) {
  const auto n = x.size();
  Eigen::MatrixXd J(n, M + 1 + K);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (int j = 0; j <= M; ++j) J(i, j) = std::pow(x[i], j);
    for (int k = 1; k <= K; ++k) J(i, M + k) = -y[i] * std::pow(x[i], k);
  }
  Eigen::VectorXd c = J.colPivHouseholderQr().solve(y);
  const auto residual = [&](const Eigen::VectorXd& at) {
    Eigen::VectorXd r(n);
    for (Eigen::Index i = 0; i < n; ++i) r[i] = y[i] - rational(at, M, x[i]);
    return r;
  };
  double damping = 1e-3, best = residual(c).squaredNorm();
  for (int step = 0; step < 2000 && damping < 1e12; ++step) {
    for (Eigen::Index i = 0; i < n; ++i) {
      double s = 0;
      for (int k = K; k >= 1; --k) s = (s + c[M + k]) * x[i];
      const double q = 1 + std::abs(s), value = rational(c, M, x[i]), sign = s > 0 ? 1 : s < 0 ? -1 : 0;
      for (int j = 0; j <= M; ++j) J(i, j) = std::pow(x[i], j) / q;
      for (int k = 1; k <= K; ++k) J(i, M + k) = -value * sign * std::pow(x[i], k) / q;
    }
    Eigen::MatrixXd A = J.transpose() * J;
    A.diagonal() *= 1 + damping;
    A.diagonal().array() += 1e-14;
    const Eigen::VectorXd next = c + A.ldlt().solve(J.transpose() * residual(c));
    const double found = residual(next).squaredNorm();
    if (found < best) {
      c = next, best = found, damping /= 3;
    } else {
      damping *= 4;
    }
  }
  return c;
}

std::string svg(const std::function<double(double)>& f, const Eigen::VectorXd& c, int M, double from, double to) {
  const double wide = 2 * (to - from), left = from - (wide - (to - from)) / 2;
  double low = 1e9, high = -1e9, worst = 1e-12;
  for (int i = 0; i <= 400; ++i) {
    const double x = left + wide * i / 400;
    low = std::min(low, f(x)), high = std::max(high, f(x));
    if (x >= from && x <= to) worst = std::max(worst, std::abs(f(x) - rational(c, M, x)));
  }
  const auto curve = [&](const char* colour, const std::function<double(double)>& g, double bottom, double top,
                         double y0) {
    std::string points;
    for (int i = 0; i <= 400; ++i) {
      const double x = left + wide * i / 400, part = std::clamp((g(x) - bottom) / (top - bottom), -0.1, 1.1);
      points += std::to_string(40 + 720.0 * i / 400) + "," + std::to_string(y0 + 260 - 240 * part) + " ";
    }
    return "<polyline fill='none' stroke='" + std::string(colour) + "' stroke-width='1.5' points='" + points + "'/>\n";
  };
  const auto fitted = [&](double x) { return rational(c, M, x); };
  const auto edge = [&](double x) {
    const std::string at = std::to_string(40 + 720 * (x - left) / wide);
    return "<line x1='" + at + "' x2='" + at + "' y1='20' y2='560' stroke='#ccc'/>\n";
  };
  return "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 800 580' font-family='sans-serif' font-size='12'>\n" +
         edge(from) + edge(to) + curve("#999", f, low, high, 0) + curve("#c33", fitted, low, high, 0) +
         curve(
             "#36c", [&](double x) { return fitted(x) - f(x); }, -worst, worst, 280) +
         "<text x='44' y='16'>activation (grey), fit (red)</text><text x='44' y='296'>error (blue), at most " +
         std::to_string(worst) + " between the lines</text>\n</svg>\n";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Fits a rational activation.");
  std::string name = "gelu", plot;
  int numerator = 6, denominator = 5, points = 121;
  std::vector<double> interval{-3, 3};
  std::vector<std::string> names;
  for (const auto& [known, f] : activations) names.push_back(known);
  app.add_option("--activation", name)->check(CLI::IsMember(names))->capture_default_str();
  app.add_option("--numerator", numerator, "degree of P")->check(program::between<int>(0, 12))->capture_default_str();
  app.add_option("--denominator", denominator, "degree of S")
      ->check(program::between<int>(1, 12))
      ->capture_default_str();
  app.add_option("--interval", interval)
      ->expected(2)
      ->check(program::between<double>(-1e6, 1e6))
      ->capture_default_str();
  app.add_option("--points", points)->check(program::between<int>(3, 100000))->capture_default_str();
  app.add_option("--plot", plot, "SVG file for the fit and its error")->check(program::not_empty());
  return program::run(app, argc, argv, [&] {
    if (!(interval[0] < interval[1])) throw iapt::error("--interval: the first number must be the smaller one");
    const auto& f = activations.at(name);
    const Eigen::VectorXd x = Eigen::VectorXd::LinSpaced(points, interval[0], interval[1]), y = x.unaryExpr(f);
    const Eigen::VectorXd c = fit(x, y, numerator, denominator);
    double worst = 0;
    bool finite = c.allFinite();
    for (int i = 0; i <= 10000; ++i) {
      const double at = interval[0] + (interval[1] - interval[0]) * i / 10000;
      const double error = std::abs(f(at) - rational(c, numerator, at));
      finite = finite && std::isfinite(error);
      worst = std::max(worst, error);
    }
    if (!finite) throw iapt::numeric_error("the fit is not finite; choose a smaller --interval or lower degrees");
    std::cout.precision(9);
    for (int j = 0; j <= numerator; ++j) std::cout << "a" << j << " = " << c[j] << '\n';
    for (int k = 1; k <= denominator; ++k) std::cout << "b" << k << " = " << c[numerator + k] << '\n';
    std::cout << "largest error on [" << interval[0] << ", " << interval[1] << "]: " << worst << '\n';
    if (!plot.empty()) iapt::write_text_file(plot, svg(f, c, numerator, interval[0], interval[1]));
    return 0;
  });
}
