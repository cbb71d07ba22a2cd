# One short line per package instead of pip's paragraphs; errors and warnings in full.
/^Collecting/ { n++; printf "setup: %3d  %s\n", n, $2; fflush(); next }
/^Installing collected packages/ { print "setup: unpacking " NF - 3 " packages"; fflush(); next }
/^Successfully installed/ { next }
/ERROR|[Ee]rror:|WARNING|No matching|conflict/ { if ($0 !~ /is ignored: it is neither/ && $0 !~ /as the 'root' user/) { print; fflush() } }
