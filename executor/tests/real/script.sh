#!/bin/bash
for   f in *.txt ; do if [[ -f $f ]]
then echo "$f" | sed -e 's/a/b/' > "out/$f"   ; fi
  done
function greet ( ) { local name=$1 ; case $name in a) echo A ;; *) echo "hello ${name:-you}" ;; esac ; }
greet   "$@"  &&   cat <<END
 here $(( 1+2*3 ))
END
