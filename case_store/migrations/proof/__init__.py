"""What the second migration makes: the order of events in their streams, and the tree over all of them."""
