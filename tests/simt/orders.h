// Runs something in every order of lanes and blocks.
#pragma once

#include <string>

#include "engine/simt/order.h"

namespace g2s::test {

constexpr simt::Order every_order[] = {simt::Order::forward, simt::Order::reverse, simt::Order::shuffle};

struct OrderGuard {
  explicit OrderGuard(simt::Order order) { simt::set_order(order); }
  ~OrderGuard() { simt::set_order(simt::Order::forward); }
  OrderGuard(const OrderGuard&) = delete;
  OrderGuard& operator=(const OrderGuard&) = delete;
};

template <class F> void in_every_order(F f) {
  for (simt::Order order : every_order) {
    OrderGuard guard(order);
    f();
  }
}

}  // namespace g2s::test
