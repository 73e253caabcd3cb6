"""When and in what order: cases on Prefect. The only folder that imports Prefect."""
