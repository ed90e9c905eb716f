"""From a provider's usage to disjoint quantities, and from those to a cost."""
