complete --keep-order --exclusive --command mesh --arguments "(MESH_COMPLETE=fish mesh -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
