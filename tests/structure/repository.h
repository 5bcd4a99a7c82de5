// The files of the repository, read once, and a rule tried on each of them.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/structure/rules.h"
#include "tests/support/check.h"

namespace g2s::test {

inline const std::vector<SourceFile>& repository() {
  static const std::vector<SourceFile> files = repository_files(source_path(""));
  return files;
}

template <class Rule> void apply(Rule&& rule) {
  REQUIRE(repository().size() > 50);
  for (const SourceFile& file : repository())
    for (const std::string& finding : rule(file)) FAIL_CHECK(finding);
}

}  // namespace g2s::test
