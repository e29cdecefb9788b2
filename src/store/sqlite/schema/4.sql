-- Version 4. What goes on from a link that is deleted may be a gap itself.

-- Places of links that are gone, by what they go on from.
CREATE INDEX links_that_are_gaps ON links (parent) WHERE state = 2;
