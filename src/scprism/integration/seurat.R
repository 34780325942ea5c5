# Seurat's integration with files in between. Called by scprism as
#     Rscript seurat.R FOLDER TARGET_SUM N_GENES
# It reads counts.mtx (genes x cells), library.tsv and batches.tsv (a line a cell) from the folder and writes genes.tsv (the
# integrated genes' rows in counts.mtx) and integrated.bin (little-endian float32, one cell after the other).
# Exit status 3: Seurat is not installed. Everything else that fails stops with R's own message and status 1.

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
target_sum <- as.numeric(arguments[2])
n_genes <- as.integer(arguments[3])

if (!requireNamespace("Seurat", quietly = TRUE) || !requireNamespace("Matrix", quietly = TRUE)) quit(status = 3)
suppressPackageStartupMessages({ library(Matrix); library(Seurat) })
options(future.globals.maxSize = Inf)

counts <- as(readMM(file.path(folder, "counts.mtx")), "CsparseMatrix")
rownames(counts) <- paste0("gene-", seq_len(nrow(counts)))
colnames(counts) <- paste0("cell-", seq_len(ncol(counts)))
library_sizes <- scan(file.path(folder, "library.tsv"), quiet = TRUE)
batches <- scan(file.path(folder, "batches.tsv"), what = integer(), quiet = TRUE)
scale <- ifelse(library_sizes > 0, target_sum / library_sizes, 0)
values <- counts %*% Diagonal(x = scale)
values@x <- log1p(values@x)
dimnames(values) <- dimnames(counts)

# Assays of version 3, which Seurat 4 and 5 both know; `data` is set by hand, so that libraries count all genes.
parts <- lapply(sort(unique(batches)), function(batch) {
  assay <- CreateAssayObject(counts = counts[, batches == batch], key = "rna_")
  assay@data <- values[, batches == batch]
  FindVariableFeatures(CreateSeuratObject(assay), nfeatures = n_genes, verbose = FALSE)
})

# Seurat's defaults, lowered where the smallest batch has fewer cells than they ask for.
smallest <- min(table(batches))
anchors <- FindIntegrationAnchors(
  parts, anchor.features = n_genes, dims = seq_len(min(30, smallest - 1)), k.filter = min(200, smallest),
  k.score = min(30, smallest - 1), verbose = FALSE
)
merged <- IntegrateData(
  anchors, dims = seq_len(min(30, smallest - 1)), k.weight = min(100, smallest - 1), verbose = FALSE
)
integrated <- as.matrix(merged[["integrated"]]@data)[, colnames(counts)]

write(sub("gene-", "", rownames(integrated)), file.path(folder, "genes.tsv"))
connection <- file(file.path(folder, "integrated.bin"), "wb")
writeBin(as.numeric(integrated), connection, size = 4, endian = "little")
close(connection)
