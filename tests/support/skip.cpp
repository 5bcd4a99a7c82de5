#include "tests/support/skip.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <vector>

namespace g2s::test {
namespace {

struct Registry {
  std::mutex mutex;
  std::string test_case;
  std::vector<std::string> lines;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

// Remembers which test case runs, and prints the list when all have.
struct SkipListener : doctest::IReporter {
  explicit SkipListener(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override { registry().test_case = test.m_name; }
  void test_run_end(const doctest::TestRunStats&) override {
    for (const std::string& line : registry().lines) std::cout << "[skipped] " << line << '\n';
    std::cout.flush();
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("skips", 1, SkipListener);

}  // namespace

void skip(const std::string& reason) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  r.lines.push_back(r.test_case + ": " + reason);
  if (const char* log = std::getenv("G2S_SKIP_LOG"); log && *log) std::ofstream(log, std::ios::app) << r.lines.back() << '\n';
}

}  // namespace g2s::test
