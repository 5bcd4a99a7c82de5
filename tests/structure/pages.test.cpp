// The pages that people read: docs/architecture.md says what they are.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/structure/page_rules.h"
#include "tests/structure/repository.h"
#include "tests/support/check.h"

using namespace g2s::test;

namespace {

// Of a page docs/a.md with this text, beside docs/b.md and a file of code.
std::size_t broken_links(const std::string& text) {
  const SourceFile page{"docs/a.md", text};
  return check_links(page, {page, {"docs/b.md", "# B\n\n## Two words, `code`\n\n## Again\n\n## Again\n"}, {"engine/c.h", "one\ntwo\n"}})
      .size();
}

// In a tour whose second stop has this text, the others being good.
Findings tour_findings(const std::string& second) {
  std::string text = "# Tour\n";
  for (int i = 1; i <= 20; ++i) text += g2s::str("\n## ", i, ". Stop\n\n", i == 2 ? second : "`run()` is in [c](../engine/c.h).\n");
  const SourceFile tour{"docs/tour.md", text};
  return check_tour(tour, {tour, {"engine/c.h", "void run();\nint Fit::runs(int x);\n"}, {"engine/d.h", "void walk();\n"}});
}

}  // namespace

TEST_CASE("prose is wrapped at 100 columns") { apply(check_prose); }
TEST_CASE("every link between files opens what it names") {
  apply([](const SourceFile& file) { return check_links(file, repository()); });
}
TEST_CASE("a stop of the tour opens the functions that it names") {
  apply([](const SourceFile& file) { return check_tour(file, repository()); });
  CHECK(std::any_of(repository().begin(), repository().end(), [](const SourceFile& f) { return f.path == "docs/tour.md"; }));
}
TEST_CASE("the method is cited as docs/method.md") { apply(check_citations); }

TEST_CASE("the rule on prose finds what it should") {
  const std::string wide(101, 'x'), fits(100, 'x');
  CHECK(check_prose({"a.md", wide + "\n"}).size() == 1);
  CHECK(check_prose({"a.md", "# " + wide + "\n- " + fits + "\n"}).size() == 2);
  CHECK(check_prose({"a.md", fits + "\n| " + wide + " |\n```sh\n" + wide + "\n```\n"}).empty());
  CHECK(check_prose({"a.md", "```\ncode\n```\n" + wide + "\n"}).size() == 1);
  CHECK(check_prose({"a.md", "[" + std::string(90, 'x') + "](" + wide + ")\n"}).empty());
  CHECK(check_prose({"a.md", "[" + wide + "](b.md)\n"}).size() == 1);
  CHECK(check_prose({"a.md", fits.substr(1) + "\xc3\xa4\n"}).empty());  // an umlaut is one column
  CHECK(check_prose({"a.cpp", wide + "\n"}).empty());
}

TEST_CASE("the rule on links finds what it should") {
  CHECK(broken_links("[b](b.md), [c](../engine/c.h), [folder](../engine/), ![again](./b.md)\n") == 0);
  CHECK(broken_links("[b](c.md)\n") == 1);
  CHECK(broken_links("[b](b.md) and ![c](engine/c.h)\n[x][y]\n\n[y]: nowhere.md\n") == 2);
  CHECK(broken_links("[up](../../b.md)\n[root](/docs/b.md)\n") == 2);
  CHECK(broken_links("[b](b.md#two-words-code), [b](b.md#again), [b](b.md#again-1)\n") == 0);
  CHECK(broken_links("[b](b.md#two-words), [b](b.md#again-2), [b](b.md#)\n") == 3);
  CHECK(broken_links("# Here\n[here](#here) [there](#there)\n") == 1);
  CHECK(broken_links("[c](../engine/c.h#L1), [c](../engine/c.h#L2)\n") == 0);
  CHECK(broken_links("[c](../engine/c.h#L0), [c](../engine/c.h#L3), [c](../engine/c.h#one), [b](b.md#L1)\n") == 4);
  CHECK(broken_links("[web](https://example.org/none), `[code](none.md)`\n```\n[code](none.md)\n```\n") == 0);
}

TEST_CASE("the rule on the tour finds what it should") {
  CHECK(tour_findings("`Fit::runs()` and `walk()`\nare in [c](../engine/c.h) and\n[d](../engine/d.h).\n").empty());
  CHECK(tour_findings("`walk()` is in [c](../engine/c.h).\n").size() == 1);      // of another file
  CHECK(tour_findings("`uns()` is in [c](../engine/c.h).\n").size() == 1);       // the end of a name
  CHECK(tour_findings("`Fit::run()` is in [c](../engine/c.h).\n").size() == 1);  // of no class
  CHECK(tour_findings("`run()` is nowhere.\n").size() == 1);
  CHECK(tour_findings("Nothing in [c](../engine/c.h).\n").size() == 1);
  CHECK(tour_findings("`run()` is in [c](../engine/c.h).\n\n## 4. Stop\n").size() > 1);
  CHECK(check_tour({"docs/tour.md", ""}, {}).size() == 1);
  CHECK(check_tour({"docs/a.md", ""}, {}).empty());
}

TEST_CASE("the rule on citations finds what it should") {
  const std::string text = std::string("MET") + "HOD";
  CHECK(check_citations({"a.h", "// " + text + " section 4\n"}).size() == 1);
  CHECK(check_citations({"a.h", "// docs/method.md, section 4 (" + text + ")\n"}).empty());
  CHECK(check_citations({"a.h", "int " + text + "_X; // a method\n"}).empty());
}
